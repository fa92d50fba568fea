"""Where people are signed in, and how often somebody failed to."""

from __future__ import annotations

from typing import ClassVar

from django.conf import settings
from django.db import models


class AccountSession(models.Model):
    """One signed-in browser. The session itself is Django's; this row says whose it is and where."""

    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="+")
    session_key = models.CharField(max_length=40, unique=True)
    method = models.CharField(max_length=80)
    address = models.GenericIPAddressField(null=True)
    device = models.CharField(max_length=80)
    started_at = models.DateTimeField()
    seen_at = models.DateTimeField()
    generation = models.PositiveIntegerField(default=0)

    class Meta:
        default_permissions = ()
        ordering: ClassVar = ["-seen_at", "-pk"]

    def __str__(self) -> str:
        return self.device


class SessionGeneration(models.Model):
    """Counts how often all sessions of one account were ended from outside of the web processes. No row is 0.

    A session notes the number at its sign-in, and is over when it is another one. So a worker can end sessions that it
    may not read.
    """

    user = models.OneToOneField(
        settings.AUTH_USER_MODEL, on_delete=models.CASCADE, primary_key=True, related_name="session_generation"
    )
    number = models.PositiveIntegerField(default=0)

    class Meta:
        default_permissions = ()

    def __str__(self) -> str:
        return f"{self.user}: {self.number}"


class SignInCount(models.Model):
    """How often something happened to one account in one window of time. Account 0: names that are no account."""

    action = models.CharField(max_length=40)
    account_id = models.BigIntegerField()
    window = models.BigIntegerField()
    count = models.PositiveIntegerField(default=0)

    class Meta:
        default_permissions = ()
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["action", "account_id", "window"], name="sign_in_count_once"),
        ]

    def __str__(self) -> str:
        return f"{self.action} {self.account_id}: {self.count}"
