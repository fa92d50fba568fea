"""Sessions, counts of failed sign-ins, API tokens and accounts of programs."""

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
    """The times that something happened to one account in one window. Account 0: names that are no account."""

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


class ServiceAccount(models.Model):
    """An account of a program. It has roles like a person, signs in nowhere, and never decides."""

    user = models.OneToOneField(
        settings.AUTH_USER_MODEL, on_delete=models.CASCADE, primary_key=True, related_name="service_account"
    )
    # The ids of the accounts that made it or a token of it, or got one. They can act as it, so they count as the same
    # person.
    holders = models.JSONField(default=list)
    made_at = models.DateTimeField()

    class Meta:
        default_permissions = ()

    def __str__(self) -> str:
        return str(self.user)


class ApiToken(models.Model):
    """A token of the REST API. It is shown once; only its digest is stored.

    It may do what both its account and its `role` may do at the moment of a call, in the profiles that it names.
    """

    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="api_tokens")
    # Without a role, e.g. since it was deleted, the token may do nothing.
    role = models.ForeignKey("auth.Group", on_delete=models.SET_NULL, null=True, related_name="+")
    name = models.CharField(max_length=60)
    # The public beginning of the token, by which its row is found.
    prefix = models.CharField(max_length=12, unique=True)
    digest = models.CharField(max_length=64)
    # The ids of the integration profiles that it reaches; empty: all profiles of its account.
    profiles = models.JSONField(default=list)
    # A digest of the account as it was when the token was made: see `tokens.standing_of`.
    standing = models.CharField(max_length=64)
    # When its owner proved the second factor for it; empty for a service account, and without a factor.
    factor_at = models.DateTimeField(null=True)
    made_by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+")
    made_at = models.DateTimeField()
    expires_at = models.DateTimeField()
    # Noted once a minute at most.
    used_at = models.DateTimeField(null=True)
    used_from = models.GenericIPAddressField(null=True)
    ended_at = models.DateTimeField(null=True)
    ended_by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, null=True, related_name="+")
    # When the mail that it was made was handed over; and how many days before its end the last warning was.
    told_at = models.DateTimeField(null=True)
    warned_days = models.PositiveSmallIntegerField(null=True)

    class Meta:
        default_permissions = ()
        ordering: ClassVar = ["-pk"]

    def __str__(self) -> str:
        return f"{self.name} ({self.prefix})"
