"""The Celery application. A task only starts work: the database is the queue of record."""

from __future__ import annotations

import os
from typing import Any

from celery import Celery
from celery.signals import worker_init

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "licensehub.settings")

app = Celery("licensehub")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()


@worker_init.connect
def check_backup_before_the_first_task(**_: Any) -> None:
    """Look for a restored backup before the worker sends anything. Forked processes must not inherit the connection."""
    from django.db import connections

    from subscriptions.reclaims import backup_guard

    try:
        backup_guard.is_held()
    finally:
        connections.close_all()
