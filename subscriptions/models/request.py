"""A request to reclaim some people's seats, and the decision of a second person on it."""

from __future__ import annotations

from typing import ClassVar

from django.conf import settings
from django.db import models
from django.utils import timezone

from integrations.models import IntegrationProfile
from subscriptions.models.candidate import RemovalCandidate


class RequestState(models.TextChoices):
    OPEN = "open", "Awaiting approval"
    APPROVED = "approved", "Approved"
    REJECTED = "rejected", "Rejected"
    EXPIRED = "expired", "Expired"
    CANCELED = "canceled", "Withdrawn"


class ReclaimRequest(models.Model):
    """Who asked, for whom, why; who decided, when, with which words. Never edited, never deleted."""

    profile = models.ForeignKey(IntegrationProfile, on_delete=models.PROTECT, related_name="requests")
    state = models.CharField(max_length=10, choices=RequestState.choices, default=RequestState.OPEN)
    requested_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="reclaim_requests"
    )
    requested_at = models.DateTimeField(default=timezone.now)
    reason = models.CharField("why now", max_length=500, blank=True)
    expires_at = models.DateTimeField()
    decided_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.PROTECT, null=True, related_name="reclaim_decisions"
    )
    decided_at = models.DateTimeField(null=True)
    comment = models.CharField(max_length=500, blank=True)
    # Approved until: after this moment nothing more is sent on it.
    valid_until = models.DateTimeField(null=True)

    class Meta:
        verbose_name = "reclaim request"
        ordering: ClassVar = ["-requested_at", "-pk"]
        default_permissions = ("view",)
        permissions: ClassVar = [("decide_reclaimrequest", "Can approve or reject a reclaim request")]
        constraints: ClassVar = [
            # The second person, held by the database as well.
            models.CheckConstraint(
                condition=models.Q(decided_by=None) | ~models.Q(decided_by=models.F("requested_by")),
                name="request_second_person",
            ),
            models.CheckConstraint(
                condition=~models.Q(state="approved")
                | models.Q(decided_by__isnull=False, decided_at__isnull=False, valid_until__isnull=False),
                name="request_approved_by_somebody",
            ),
        ]

    def __str__(self) -> str:
        return self.number

    @property
    def number(self) -> str:
        return f"R-{self.pk:04d}" if self.pk else "R-new"


class RequestedRemovalQuerySet(models.QuerySet["RequestedRemoval"]):
    def standing(self) -> RequestedRemovalQuerySet:
        """Not dropped."""
        return self.filter(dropped_at=None)


class RequestedRemoval(models.Model):
    """One person in a request. Dropping is a recorded mark; nobody can be added."""

    request = models.ForeignKey(ReclaimRequest, on_delete=models.PROTECT, related_name="removals")
    candidate = models.ForeignKey(RemovalCandidate, on_delete=models.PROTECT, related_name="removals")
    # The candidate's evidence as the approver sees it: see candidates.freeze().
    evidence = models.JSONField(editable=False)
    # HMAC made at approval, checked before the send: see approvals.seal().
    seal = models.CharField(max_length=64, blank=True, editable=False)
    dropped_at = models.DateTimeField(null=True)
    dropped_by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, null=True, related_name="+")
    drop_reason = models.CharField(max_length=200, blank=True)

    objects = RequestedRemovalQuerySet.as_manager()

    class Meta:
        verbose_name = "requested removal"
        ordering: ClassVar = ["pk"]
        default_permissions = ("view",)
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["request", "candidate"], name="removal_once_per_request")
        ]

    def __str__(self) -> str:
        return str(self.candidate)
