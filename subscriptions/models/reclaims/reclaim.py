"""The queue of record and the history: one row for each send."""

from __future__ import annotations

from datetime import timedelta
from typing import ClassVar

from django.db import models
from django.utils.translation import gettext_lazy as _

from integrations.models import IntegrationProfile
from integrations.scopes.visibility import ProfileManager
from licensehub.database.clock import database_now
from subscriptions.models.reclaims.request import Direction, RequestedRemoval
from subscriptions.models.subscription import Subscription


class ReclaimState(models.TextChoices):
    QUEUED = "queued", _("Waiting to be sent")
    CLAIMED = "claimed", _("Looking again")
    SENDING = "sending", _("Sending")
    DONE = "done", _("Verified")
    SKIPPED = "skipped", _("Skipped")
    FAILED = "failed", _("Refused")
    TAMPERED = "tampered", _("Tampered")
    IN_DOUBT = "in_doubt", _("In doubt")


class HoldReason(models.TextChoices):
    """The reason for which an approved item waits. A hold never loses it."""

    SENDING_STOPPED = "sending_stopped", _("Sending is stopped")
    PAUSED = "paused", _("The profile is paused")
    RECLAIM_OFF = "reclaim_off", _("Reclaim subscriptions is switched off")
    CONNECTION = "connection", _("A connection is in error")
    WINDOW = "window", _("Outside of the reclaim window")
    ROLLING_CAP = "rolling_cap", _("The cap for 24 hours is reached")
    BATCH_CAP = "batch_cap", _("The request is over the cap of the rule")
    BACKUP = "backup", _("This database may be a restored backup")
    CLOCK = "clock", _("The clock of a host is wrong")
    TAMPERED = "tampered", _("Something was changed outside of LicenseHub")
    ACTIVITY = "activity", _("The vendor's activity dates are in doubt")
    LOST_ANSWERS = "lost_answers", _("The vendor's answers were lost")
    LATER = "later", _("The vendor is tried again later")


class ReclaimQuerySet(models.QuerySet["Reclaim"]):
    def due(self) -> ReclaimQuerySet:
        now = database_now()
        return self.filter(state=ReclaimState.QUEUED).filter(models.Q(not_before=None) | models.Q(not_before__lte=now))

    def abandoned(self) -> ReclaimQuerySet:
        """Items that are claimed or being sent, by a worker that died."""
        return self.filter(state__in=(ReclaimState.CLAIMED, ReclaimState.SENDING), lease_until__lt=database_now())

    def to_read_back(self) -> ReclaimQuerySet:
        """Items in doubt that were not read back yet."""
        now = database_now()
        return self.filter(state=ReclaimState.IN_DOUBT, read_back="").filter(
            models.Q(not_before=None) | models.Q(not_before__lte=now)
        )

    def unfinished(self) -> ReclaimQuerySet:
        return self.filter(state__in=UNFINISHED)


UNFINISHED = (ReclaimState.QUEUED, ReclaimState.CLAIMED, ReclaimState.SENDING)
# A seat was taken, and was read back as inactive.
VERIFIED = models.Q(direction=Direction.DEACTIVATE, state=ReclaimState.DONE)


ReclaimManager = ProfileManager.from_queryset(ReclaimQuerySet)


class Reclaim(models.Model):
    """One approved deactivation or activation, from the queue until it is verified."""

    LEASE: ClassVar[timedelta] = timedelta(seconds=180)
    # Not ended, or in doubt and not read back yet.
    UNDER_WAY: ClassVar[models.Q] = models.Q(state__in=UNFINISHED) | models.Q(state=ReclaimState.IN_DOUBT, read_back="")

    # Profile and subscription have no constraint: they are those of the request and of its candidate, which have one.
    # To check both for each of 50,000 rows takes most of a second. Two indexes below begin with the profile.
    profile = models.ForeignKey(
        IntegrationProfile, on_delete=models.PROTECT, related_name="reclaims", db_constraint=False, db_index=False
    )
    subscription = models.ForeignKey(
        Subscription, on_delete=models.PROTECT, related_name="reclaims", db_constraint=False
    )
    removal = models.OneToOneField(RequestedRemoval, on_delete=models.PROTECT, related_name="reclaim")
    # The HMAC that is made at approval and checked before the send: see signatures.sign().
    signature = models.CharField(max_length=64, blank=True, default="", db_default="", editable=False)
    direction = models.CharField(_("direction"), max_length=10, choices=Direction.choices, default=Direction.DEACTIVATE)
    state = models.CharField(_("state"), max_length=10, choices=ReclaimState.choices, default=ReclaimState.QUEUED)
    # The license type of the seat, from the evidence that was approved.
    license = models.CharField(max_length=40, blank=True, default="", db_default="")
    queued_at = models.DateTimeField(_("queued at"), default=database_now)
    token = models.UUIDField(null=True, editable=False)
    lease_until = models.DateTimeField(null=True, editable=False)
    # How many workers in a row claimed it and ended, or failed, before they sent it.
    tries = models.PositiveSmallIntegerField(default=0, db_default=0, editable=False)
    not_before = models.DateTimeField(null=True)
    hold_reason = models.CharField(max_length=16, choices=HoldReason.choices, blank=True, default="")
    # The intent, committed before the call; the answer, committed after it.
    sending_at = models.DateTimeField(_("sent"), null=True)
    finished_at = models.DateTimeField(_("finished at"), null=True)
    http_status = models.PositiveSmallIntegerField(null=True)
    request_id = models.CharField(max_length=100, blank=True, default="")
    # active, inactive or unknown to the vendor; empty before it was read back.
    read_back = models.CharField(max_length=10, blank=True, default="")
    read_back_at = models.DateTimeField(null=True)
    # The license that the vendor showed after a restore; empty where it was not read.
    license_after = models.CharField(max_length=40, blank=True, default="", db_default="")
    reads = models.PositiveSmallIntegerField(_("times read back"), default=0)
    # Since when the person holds a seat again, and of which license type: see `activity.returns`.
    back_at = models.DateTimeField(null=True)
    back_license = models.CharField(max_length=40, blank=True, default="", db_default="")
    # The seat came back soon, or was taken once more later. Then this reclaim saves nothing any more.
    bought_again = models.BooleanField(default=False, db_default=False)
    # The result in one sentence, in the vendor's words if it answered.
    outcome = models.TextField(blank=True, default="")

    profile_path: ClassVar[str] = "profile"
    objects = ReclaimManager()

    class Meta:
        ordering: ClassVar = ["-queued_at", "-pk"]
        default_permissions = ("view",)
        verbose_name = _("reclaim")
        verbose_name_plural = _("history")
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["subscription"],
                condition=models.Q(state__in=("queued", "claimed", "sending")),
                name="reclaim_one_under_way",
            )
        ]
        indexes: ClassVar = [
            models.Index(fields=["profile", "state", "not_before"], name="reclaim_due"),
            models.Index(fields=["profile", "sending_at"], name="reclaim_sent"),
            models.Index(fields=["queued_at", "id"], name="reclaim_queued"),
            models.Index(fields=["state", "queued_at", "id"], name="reclaim_state_queued"),
            # With profile and license, so that the savings of a day are counted from the index alone.
            models.Index(fields=["direction", "state", "finished_at", "profile", "license"], name="reclaim_verified"),
        ]

    def __str__(self) -> str:
        return str(self.subscription)
