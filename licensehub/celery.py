"""The Celery application. Tasks are doorbells: the database is the queue of record."""

from __future__ import annotations

import os

from celery import Celery

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "licensehub.settings")

app = Celery("licensehub")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()
