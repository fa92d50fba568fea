"""The Celery application. A task only starts work: the database is the queue of record."""

from __future__ import annotations

import os
from typing import Any

from celery import Celery
from celery.signals import worker_init, worker_shutdown
from kombu.transport import TRANSPORT_ALIASES

from licensehub.operations.processes.worker import HeartbeatStep

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "licensehub.settings")

# All connections to a Redis sign their messages, and drop what is not signed.
for scheme in ("redis", "rediss"):
    TRANSPORT_ALIASES[scheme] = "licensehub.broker.transport:SignedTransport"
app = Celery("licensehub")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()
app.steps["worker"].add(HeartbeatStep)


@worker_init.connect
def check_database_before_the_first_task(**_: Any) -> None:
    """Look for a restored backup, a copy, and too many rights before the worker sends anything.

    Forked processes must not inherit the connection.
    """
    from django.db import connections

    from licensehub import checks_database
    from subscriptions.reclaims import backup_guard

    try:
        backup_guard.is_held()
        checks_database.report()
    finally:
        connections.close_all()


@worker_shutdown.connect
def report_dropped_messages(**_: Any) -> None:
    """Report what was dropped since the last report."""
    from licensehub.broker import dropped

    dropped.report()
