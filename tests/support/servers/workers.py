"""Fixtures that start a real broker and real Celery workers."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest
import redis
from django.conf import settings
from django.db import connection

from licensehub import queues
from licensehub.embedded import broker

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

READY_SECONDS = 30


@dataclass
class BrokerProcess:
    """The embedded broker where the settings look for it; one for each process of pytest-xdist."""

    socket: Path
    data: Path
    process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        self.process = broker.start(self.socket, self.data)

    def kill(self) -> None:
        if self.process:
            self.process.kill()
            self.process.wait()

    def restart(self) -> None:
        self.kill()
        self.start()

    def flush(self) -> None:
        with redis.Redis(unix_socket_path=str(self.socket)) as client:
            client.flushall()

    def waiting(self) -> int:
        """Return how many messages wait for a worker."""
        with redis.Redis(unix_socket_path=str(self.socket)) as client:
            return sum(int(client.llen(queue)) for queue in queues.TASKS)


@pytest.fixture(scope="session")
def broker_process() -> Iterator[BrokerProcess]:
    """For tests that kill it: they leave it running."""
    running = BrokerProcess(settings.EMBEDDED_BROKER_SOCKET, settings.VAR_DIR / "valkey")
    running.start()
    yield running
    running.kill()
    shutil.rmtree(running.socket.parent)


@pytest.fixture(scope="session")
def valkey_server(broker_process: BrokerProcess) -> Path:
    return broker_process.socket


@pytest.fixture
def valkey(valkey_server: Path) -> Iterator[redis.Redis]:
    """A client of an empty broker."""
    client = redis.Redis(unix_socket_path=str(valkey_server))
    client.flushall()
    yield client
    client.close()


@dataclass(slots=True)
class WorkerProcess:
    """A Celery worker in a process group of its own."""

    process: subprocess.Popen[bytes]
    log: Path

    def wait_until_ready(self) -> None:
        """Until it takes tasks."""
        deadline = time.monotonic() + READY_SECONDS
        while " ready." not in self.log.read_text(errors="replace"):
            if self.process.poll() is not None or time.monotonic() > deadline:
                pytest.fail(f"The Celery worker did not start:\n{self.log.read_text(errors='replace')}")
            time.sleep(0.1)

    def stop(self) -> None:
        """Stop it as a supervisor does: it finishes its task."""
        self.process.terminate()
        try:
            self.process.wait(timeout=READY_SECONDS)
        finally:
            self.kill()

    def kill(self) -> None:
        """End it as a power cut does."""
        try:
            os.killpg(self.process.pid, signal.SIGKILL)
        except ProcessLookupError:
            return
        finally:
            self.process.wait()


def database_url() -> str:
    """The test database, as another process must name it."""
    facts: dict[str, Any] = connection.settings_dict
    if connection.vendor == "sqlite":
        return f"sqlite:///{facts['NAME']}"
    password = f":{facts['PASSWORD']}" if facts["PASSWORD"] else ""
    port = f":{facts['PORT']}" if facts["PORT"] else ""
    host = facts["OPTIONS"].get("host", "")
    query = f"?host={host}" if host else ""
    return f"postgres://{facts['USER']}{password}@{facts['HOST']}{port}/{facts['NAME']}{query}"


def environment_for_children(**changes: str) -> dict[str, str]:
    """Return what a process that a test starts needs to use the test's database and broker.

    A Celery worker imports all pages only to check their addresses. `tests/deploy` starts workers with all checks.
    """
    given = {"DJANGO_SETTINGS_MODULE": "licensehub.settings", "DATABASE_URL": database_url()}
    given["CELERY_SKIP_CHECKS"] = "1"
    return {**os.environ, **given, "PYTHONUNBUFFERED": "1", "PYTHONPATH": str(settings.BASE_DIR), **changes}


def start_worker(log: Path, *, app: str = "licensehub", only: str = "", **changes: str) -> WorkerProcess:
    """The worker as `manage.py run` starts it, with one process. `only` names queues; else it serves all."""
    celery = [sys.executable, "-m", "celery", "-A", app, "worker", "--loglevel", "INFO"]
    command = [*celery, "--concurrency", "1", "--without-gossip", "--without-mingle"]
    command += ["--queues", only] if only else []
    with log.open("wb") as out:
        process = subprocess.Popen(
            command,
            env=environment_for_children(**changes),
            stdout=out,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    return WorkerProcess(process, log)


@pytest.fixture
def celery_worker_process(
    real_transactions: None, valkey: redis.Redis, tmp_path: Path
) -> Iterator[Callable[..., WorkerProcess]]:
    """`celery_worker_process(MIRO_API_URL=...)` starts a worker with these variables and waits until it is ready."""
    started: list[WorkerProcess] = []

    def start(*, only: str = "", **changes: str) -> WorkerProcess:
        worker = start_worker(tmp_path / f"worker-{len(started)}.log", only=only, **changes)
        started.append(worker)
        worker.wait_until_ready()
        return worker

    yield start
    for worker in started:
        worker.stop()
