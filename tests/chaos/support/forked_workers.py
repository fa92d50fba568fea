"""Starts Celery workers within milliseconds: a storm kills all of them again and again, and each needs time to work.

The application is imported once; each worker is a fork of that. A line on the standard input asks for so many workers,
a line on the standard output tells their ids. Each is the leader of a process group of its own.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from contextlib import suppress
from importlib import import_module

from django.core.checks import run_checks

from tests.chaos.support.fast_settings import app

WORKER = ["worker", "--pool", "solo", "--loglevel", "WARNING", "--without-gossip", "--without-mingle"]

# What a worker loads when it starts.
LOADED_AT_START = [
    "celery.apps.worker",
    "celery.bin.worker",
    "celery.concurrency.solo",
    "celery.worker.consumer",
    "celery.worker.strategy",
    "kombu.transport.redis",
    "django.db.backends.postgresql.base",
    "integrations.connectors.miro.connector",
]


def main() -> None:
    _load()
    # A killed worker leaves no zombie process.
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    started: list[int] = []
    for line in sys.stdin:
        started = [_worker(number) for number in range(int(line))]
        sys.stdout.write(json.dumps(started) + "\n")
        sys.stdout.flush()
    # The test is gone, perhaps without a word: its workers go, too.
    for worker in started:
        with suppress(ProcessLookupError):
            os.killpg(worker, signal.SIGKILL)


def _load() -> None:
    """Whatever can be done once is not done by each worker."""
    for module in LOADED_AT_START:
        import_module(module)
    app.loader.import_default_modules()
    app.finalize()
    run_checks()
    os.environ["CELERY_SKIP_CHECKS"] = "1"


def _worker(number: int) -> int:
    started = os.fork()
    if started:
        # Here and in the worker, whoever is first: the test may kill the group as soon as it knows the id.
        with suppress(OSError):
            os.setpgid(started, started)
        return started
    os.setpgid(0, 0)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.dup2(2, 1)
    try:
        app.worker_main([*WORKER, "--hostname", f"chaos{number}-{os.getpid()}@%h"])
    finally:
        os._exit(1)


if __name__ == "__main__":
    main()
