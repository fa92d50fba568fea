"""The processes of a storm, and how they are killed: workers, broker, database and sandbox.

Everything that is started here is ended here, by its id.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TypeVar

import redis
from django.conf import settings
from django.db import InterfaceError, OperationalError, connection

from subscriptions import tasks
from tests.support.databases import Cluster
from tests.support.servers.workers import BrokerProcess, environment_for_children

T = TypeVar("T")
MAX_WAIT = 30.0
# More messages than this in the queue are of no use: each of them starts the same work.
MAX_MESSAGES = 6


def patiently(call: Callable[[], T]) -> T:
    """Also while the database is restarted."""
    until = time.monotonic() + MAX_WAIT
    while True:
        try:
            return call()
        except (OperationalError, InterfaceError):
            if time.monotonic() > until:
                raise
            connection.close()
            time.sleep(0.2)


class Workers:
    """Celery workers with one process each, killed all at once; see `forked_workers`."""

    def __init__(self, log: Path, count: int, variables: dict[str, str]) -> None:
        self.killed = 0
        self._count = count
        self._running: list[int] = []
        with log.open("ab") as out:
            self._forker = subprocess.Popen(
                [sys.executable, "-m", "tests.chaos.support.forked_workers"],
                env=environment_for_children(**variables),
                cwd=settings.BASE_DIR,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=out,
                start_new_session=True,
            )

    def start(self) -> None:
        assert self._forker.stdin and self._forker.stdout
        self._forker.stdin.write(f"{self._count}\n".encode())
        self._forker.stdin.flush()
        self._running = json.loads(self._forker.stdout.readline())

    @property
    def running(self) -> list[int]:
        """Their process ids."""
        return list(self._running)

    def kill(self) -> None:
        """End it as a power cut does."""
        for pid in self._running:
            with suppress(ProcessLookupError):
                os.killpg(pid, signal.SIGKILL)
        self.killed += len(self._running)
        self._running = []

    def end(self) -> None:
        """No more workers."""
        self.kill()
        self._forker.communicate(timeout=MAX_WAIT)


class Beat:
    """Enqueues the task `sweep` every `every` seconds, as beat does every minute."""

    def __init__(self, broker: BrokerProcess, *, every: float) -> None:
        self._broker, self._every = broker, every
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="chaos-beat", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._stopping.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._stopping.wait(self._every):
            # The broker is being killed. The next message comes soon.
            with suppress(redis.RedisError):
                if self._broker.waiting() < MAX_MESSAGES:
                    tasks.enqueue_task(tasks.sweep)


@contextmanager
def sandbox_process(*, members: int, seed: int) -> Iterator[dict[str, str]]:
    """A sandbox with a process, and so a core, of its own. Yields its addresses and tokens."""
    command = [sys.executable, "manage.py", "miro_sandbox", "--members", str(members), "--seed", str(seed)]
    process = subprocess.Popen(
        command, env=environment_for_children(), cwd=settings.BASE_DIR, stdout=subprocess.PIPE, start_new_session=True
    )
    try:
        assert process.stdout is not None
        urls: dict[str, str] = json.loads(process.stdout.readline())
        yield urls
    finally:
        process.terminate()
        process.wait(timeout=MAX_WAIT)
        if process.stdout:
            process.stdout.close()


def cut_connections() -> None:
    """End the connections, as the clients see a crash of the database, where its server is shared with other tests."""
    if connection.vendor != "postgresql":
        return
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
            "WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )


def restart_database() -> None:
    """An immediate stop, as by a power cut, and a start that replays the log."""
    cluster = Cluster.of_environment()
    assert cluster is not None, "the long storm needs a cluster of its own: run `make chaos`"
    connection.close()
    cluster.restart()
