"""The heartbeats of the processes of this installation, and the last findings about it."""

from __future__ import annotations

from typing import ClassVar

from django.conf import settings
from django.db import models
from django.utils.translation import gettext_lazy as _

from licensehub.database.clock import database_now


class ProcessKind(models.TextChoices):
    WORKER = "worker", _("Worker")
    BEAT = "beat", _("Scheduler")


class Heartbeat(models.Model):
    """One worker or one scheduler. It writes its own row every few seconds, and the row of a dead one becomes old."""

    kind = models.CharField(max_length=10, choices=ProcessKind.choices)
    # As Celery names it: worker@host, or gen123@host for a scheduler.
    name = models.CharField(max_length=150)
    host = models.CharField(max_length=80)
    version = models.CharField(max_length=60, blank=True, default="")
    # The names of the queues that a worker serves.
    queues = models.JSONField(default=list)
    # {"processes": 2, "disk_free": bytes, "disk_total": bytes, "keys": mark, "database_user": name}
    facts = models.JSONField(default=dict)
    started_at = models.DateTimeField()
    # Empty for a scheduler that does not write this row: its messages were found in the broker.
    seen_at = models.DateTimeField(null=True)
    # A scheduler: when it sent the last message that a worker has received.
    scheduled_at = models.DateTimeField(null=True)

    class Meta:
        default_permissions = ()
        constraints: ClassVar = [models.UniqueConstraint(fields=["kind", "name"], name="heartbeat_one_per_process")]

    def __str__(self) -> str:
        return self.name


class TaskRun(models.Model):
    """One task that a worker has ended. Rows are kept for an hour."""

    queue = models.CharField(max_length=40)
    task = models.CharField(max_length=120)
    # Milliseconds in the queue, and of work.
    waited = models.PositiveIntegerField()
    took = models.PositiveIntegerField()
    failed = models.BooleanField(default=False)
    ended_at = models.DateTimeField(default=database_now, db_index=True)

    class Meta:
        default_permissions = ()

    def __str__(self) -> str:
        return f"{self.task}, {self.took} ms"


class CheckResult(models.Model):
    """The last result of one check of `manage.py doctor`, as a worker found it. All texts are English."""

    check_id = models.CharField(max_length=40, unique=True)
    # ok, look or act.
    level = models.CharField(max_length=4)
    title = models.CharField(max_length=200)
    value = models.CharField(max_length=200, blank=True, default="")
    detail = models.TextField(blank=True, default="")
    waits = models.TextField(blank=True, default="")
    # [{"text", "command"}]
    steps = models.JSONField(default=list)
    # What the check remembers until its next run.
    memory = models.JSONField(default=dict)
    host = models.CharField(max_length=80)
    # Since when the level is not ok; empty while it is.
    since = models.DateTimeField(null=True)
    checked_at = models.DateTimeField()

    class Meta:
        verbose_name = _("operations")
        verbose_name_plural = _("operations")
        default_permissions = ("view",)

    def __str__(self) -> str:
        return self.check_id


class MailTrial(models.Model):
    """A mail that somebody asked LicenseHub to send to them. A worker sends it, with the settings of the worker."""

    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="+")
    asked_at = models.DateTimeField(default=database_now)
    # When the mail server took it or refused it; `problem` says why.
    ended_at = models.DateTimeField(null=True)
    problem = models.TextField(blank=True, default="")

    class Meta:
        default_permissions = ()
        ordering: ClassVar = ["-pk"]

    def __str__(self) -> str:
        return f"Test mail of {self.asked_at:%Y-%m-%d %H:%M}"
