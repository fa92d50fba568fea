"""The processes of the embedded mode, and the checks before they start."""

from __future__ import annotations

import contextlib
import io
import socket
import sys
import tempfile
from dataclasses import dataclass
from typing import Final

from django.conf import settings
from django.core.management import call_command
from django.core.management.base import SystemCheckError
from django.db import OperationalError, connections

from licensehub.audit.anchors.keys import new_keys, write_keys
from licensehub.embedded import broker
from licensehub.embedded.errors import CannotRunError
from licensehub.translations.catalogs import compile_stale

LOOPBACK: Final = "127.0.0.1"


@dataclass(frozen=True, slots=True)
class Child:
    """One process. `stops_last`: the others need it for their own stopping."""

    name: str
    argv: list[str]
    stops_last: bool = False


def processes(port: int) -> list[Child]:
    """All processes of LicenseHub itself. Call `prepare` first."""
    worker = [*_celery("worker"), "--concurrency", "2", "--without-gossip", "--without-mingle"]
    web = [
        sys.executable,
        "-m",
        "gunicorn",
        "--config",
        "python:licensehub.gunicorn",
        "licensehub.wsgi",
        "--bind",
        f"{LOOPBACK}:{port}",
    ]
    web += ["--workers", "2", "--threads", "4", "--no-control-socket"]
    return [*_broker(), Child("web", web), Child("worker", worker), Child("beat", _celery("beat"))]


def _broker() -> list[Child]:
    if not settings.REDIS_IS_EMBEDDED:
        return []
    argv = broker.command(settings.EMBEDDED_BROKER_SOCKET, settings.VAR_DIR / "valkey")
    return [Child("broker", argv, stops_last=True)]


def _celery(role: str) -> list[str]:
    return [sys.executable, "-m", "celery", "-A", "licensehub", role, "--loglevel", "INFO"]


def prepare(port: int) -> None:
    """Report everything that can be wrong before the first process starts."""
    require_writable_var()
    require_free(port)
    if settings.REDIS_IS_EMBEDDED:
        broker.prepare(settings.EMBEDDED_BROKER_SOCKET, settings.VAR_DIR / "valkey")
    make_anchor_key()
    migrate()
    check_database()
    call_command("collectstatic", interactive=False, verbosity=0)
    compile_stale()
    # The processes are forked: none of them may inherit an open connection.
    connections.close_all()


def make_anchor_key() -> None:
    """The key that signs the anchors of the audit, where there is none."""
    try:
        if not settings.ANCHOR_KEYS and not settings.ANCHOR_KEY_FILE.exists():
            write_keys(settings.ANCHOR_KEY_FILE, new_keys())
    except OSError as problem:
        raise CannotRunError(
            f"The anchor key {settings.ANCHOR_KEY_FILE} cannot be written ({problem.strerror}); name another file in "
            "ANCHOR_KEY_FILE."
        ) from problem


def migrate() -> None:
    """Bring the database up to date."""
    try:
        call_command("migrate", interactive=False, verbosity=0)
    except OperationalError as problem:
        reason = str(problem).strip().splitlines()[0]
        raise CannotRunError(f"The database does not answer ({reason}); look at DATABASE_URL.") from problem


def check_database() -> None:
    """An old database or a wrong key is reported before the first process starts, not by the first failed download."""
    try:
        call_command("check", databases=["default"], tags=["database"], stdout=io.StringIO(), stderr=io.StringIO())
    except SystemCheckError as problem:
        raise CannotRunError(str(problem)) from problem


def require_writable_var() -> None:
    """The database, the broker's file and the static files are stored there."""
    try:
        settings.VAR_DIR.mkdir(mode=0o700, parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=settings.VAR_DIR):
            pass
    except OSError as problem:
        raise CannotRunError(
            f"This user cannot write into {settings.VAR_DIR} ({problem.strerror}); change its owner, "
            "or name another folder in LICENSEHUB_VAR."
        ) from problem


def require_free(port: int) -> None:
    """Raise CannotRunError for a port in use. Without this, only the log of the web process would show that."""
    with contextlib.closing(_listening_socket()) as probe:
        try:
            probe.bind((LOOPBACK, port))
        except OSError as problem:
            raise CannotRunError(
                f"Port {port} on {LOOPBACK} cannot be used ({problem.strerror}); stop what uses it, "
                "or choose another with WEB_PORT."
            ) from problem


def free_port() -> int:
    """A port that nobody uses now."""
    with contextlib.closing(_listening_socket()) as probe:
        probe.bind((LOOPBACK, 0))
        return int(probe.getsockname()[1])


def _listening_socket() -> socket.socket:
    """Opened as gunicorn does: a port in TIME_WAIT counts as free."""
    probe = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    return probe
