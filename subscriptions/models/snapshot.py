"""The history of all subscriptions, change by change, in few bytes.

A row has what a run *replaced*: the facts as they were before the run. What did not change is empty. So a first
download writes no history, and the facts of any day can be computed from today's facts and the later rows: see
`subscriptions.activity.snapshots`.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import ClassVar

from django.db import models
from django.utils.translation import gettext_lazy as _

from integrations.scopes.visibility import ProfileManager
from subscriptions.models.download import DownloadRun
from subscriptions.models.subscription import Subscription

# The value of a moment that was empty before, since empty means "did not change".
NEVER = datetime(1900, 1, 1, tzinfo=UTC)


class ReplacedFacts(models.Model):
    """The facts that a change replaced; empty where it changed nothing. NEVER says that there was no moment."""

    last_activity_at = models.DateTimeField(null=True)
    license_assigned_at = models.DateTimeField(null=True)
    email = models.CharField(max_length=254, null=True)
    license = models.CharField(max_length=40, null=True)
    role = models.CharField(max_length=60, null=True)
    active = models.BooleanField(null=True)
    gone = models.BooleanField(null=True)

    class Meta:
        abstract = True


class ActivitySnapshot(ReplacedFacts):
    """The facts of one subscription that one run replaced. Its key is two small numbers."""

    pk = models.CompositePrimaryKey("subscription_id", "run_id")
    subscription = models.ForeignKey(
        Subscription, on_delete=models.CASCADE, related_name="snapshots", db_index=False, db_constraint=False
    )
    run = models.ForeignKey(
        DownloadRun, on_delete=models.PROTECT, related_name="+", db_index=False, db_constraint=False
    )

    profile_path: ClassVar[str] = "subscription__profile"
    objects = ProfileManager()

    class Meta:
        verbose_name = _("activity snapshot")
        default_permissions = ("view",)
        # Few people change their address: this index has only their rows.
        indexes: ClassVar = [
            models.Index(fields=["email"], condition=models.Q(email__isnull=False), name="snapshot_former_email")
        ]

    def __str__(self) -> str:
        return f"{self.subscription_id} before run {self.run_id}"


class RecheckSnapshot(ReplacedFacts):
    """The facts that were replaced outside of a run: by the recheck before a send, or by the send itself."""

    subscription = models.ForeignKey(Subscription, on_delete=models.CASCADE, related_name="recheck_snapshots")
    seen_at = models.DateTimeField()

    profile_path: ClassVar[str] = "subscription__profile"
    objects = ProfileManager()

    class Meta:
        verbose_name = _("recheck snapshot")
        ordering: ClassVar = ["seen_at", "pk"]
        default_permissions = ("view",)

    def __str__(self) -> str:
        return f"{self.subscription_id} before {self.seen_at:%Y-%m-%d %H:%M}"
