"""The Celery application. A task only starts work: the database is the queue of record."""

from __future__ import annotations

import os
import signal
import sys
from typing import Any

import billiard
from celery import Celery
from celery.signals import celeryd_init, worker_init, worker_shutdown, worker_shutting_down
from kombu.transport import TRANSPORT_ALIASES

from licensehub import stopping
from licensehub.operations.processes.worker import HeartbeatStep

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "licensehub.settings")

# All connections to a Redis sign their messages, and drop what is not signed.
for scheme in ("redis", "rediss"):
    TRANSPORT_ALIASES[scheme] = "licensehub.broker.transport:SignedTransport"
app = Celery("licensehub")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()
app.steps["worker"].add(HeartbeatStep)


@celeryd_init.connect
def refuse_to_start_without_keys(**_: Any) -> None:
    """Celery only logs an exception of a receiver, so this ends the process."""
    from licensehub.checks.start import CannotStartError, Process, refuse_wrong_settings

    try:
        refuse_wrong_settings(Process.WORKER)
    except CannotStartError as problem:
        sys.exit(str(problem))


@worker_init.connect
def refuse_wrong_servers(**_: Any) -> None:
    """A pool or a broker of a kind that does not work would let tasks fail halfway."""
    from licensehub.broker import kind
    from licensehub.checks import database

    broker_problem = kind.problem()
    if found := database.pool_problem() or (broker_problem and f"{broker_problem} {kind.HINT}"):
        sys.exit(f"The worker process of LicenseHub does not start: {found}")


@worker_init.connect
def check_database_before_the_first_task(**_: Any) -> None:
    """Look for a restored backup, a copy, and too many rights before the worker sends anything.

    Forked processes must not inherit the connection.
    """
    from django.db import connections

    from licensehub.checks import database
    from subscriptions.reclaims import backup_guard

    try:
        backup_guard.is_held()
        database.report()
    finally:
        connections.close_all()


@worker_shutting_down.connect
def stop_soon(**_: Any) -> None:
    """Ask the tasks to end, and set the time after which the worker ends in any case. SIGTERM has just come."""
    stopping.request()
    signal.signal(signal.SIGALRM, _end_now)
    signal.setitimer(signal.ITIMER_REAL, stopping.MAX_STOP_SECONDS)


def _end_now(*_: Any) -> None:
    """A call hangs. The rest is what follows a kill: leases end, and the sweep enqueues again what is due."""
    for process in billiard.active_children():
        if process.pid:
            os.kill(process.pid, signal.SIGKILL)
    os._exit(1)


@worker_shutdown.connect
def report_dropped_messages(**_: Any) -> None:
    """Report what was dropped since the last report. After that, the worker has ended in time."""
    from licensehub.broker import dropped

    dropped.report()
    signal.setitimer(signal.ITIMER_REAL, 0)
