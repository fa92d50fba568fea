"""A request to reclaim some people's seats, and the decision of a second person on it."""

from __future__ import annotations

from typing import ClassVar

from django.conf import settings
from django.db import models
from django.utils.translation import gettext_lazy as _

from integrations.connectors.contract import normalized
from integrations.models import IntegrationProfile
from integrations.scopes.visibility import ProfileManager
from licensehub.database.clock import database_now
from subscriptions.models.reclaims.candidate import RemovalCandidate


class Direction(models.TextChoices):
    DEACTIVATE = "deactivate", _("Reclaim")
    REACTIVATE = "reactivate", _("Restore")


class Answer(models.TextChoices):
    """The answer of a person who was asked."""

    KEEP = "keep", _("Wants to keep it")
    RELEASE = "release", _("Released it")


class KeptAs(models.TextChoices):
    """The choice of a user for people who leave a request and keep the seat."""

    SENT_BACK = "sent_back", _("Sent back")
    PAUSED = "paused", _("Paused")
    PROTECTED = "protected", _("Protected")


class RequestState(models.TextChoices):
    COLLECTING = "collecting", _("Waiting for people")
    OPEN = "open", _("Awaiting approval")
    APPROVED = "approved", _("Approved")
    REJECTED = "rejected", _("Rejected")
    EXPIRED = "expired", _("Expired")
    CANCELED = "canceled", _("Withdrawn")
    # It ended by itself: each of its people was dropped, or is no candidate any more.
    EMPTY = "empty", _("Nobody left")


# Not decided yet.
WAITING = (RequestState.COLLECTING, RequestState.OPEN)


class ReclaimRequest(models.Model):
    """A request with its reason, and the decision with its comment. It is never edited or deleted.

    The restore of several people is also a request, with the other direction. The restore of one person needs no second
    person, so its request is approved when it is made.
    """

    direction = models.CharField(max_length=10, choices=Direction.choices, default=Direction.DEACTIVATE)
    profile = models.ForeignKey(IntegrationProfile, on_delete=models.PROTECT, related_name="requests")
    state = models.CharField(max_length=10, choices=RequestState.choices, default=RequestState.OPEN)
    # Empty when the schedule filed it, as the rule says.
    requested_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.PROTECT, null=True, related_name="reclaim_requests"
    )
    requested_at = models.DateTimeField(default=database_now)
    reason = models.CharField(_("why now"), max_length=500, blank=True)
    # Until when people may answer; empty where nobody is asked.
    answers_until = models.DateTimeField(null=True)
    # While people are asked, the earliest moment of expiry. It is set again when the request opens.
    expires_at = models.DateTimeField()
    # How many people this request may reclaim: the batch cap when it was made, or what another person raised it to.
    cap = models.PositiveIntegerField(default=50)
    cap_raised_by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, null=True, related_name="+")
    cap_raised_at = models.DateTimeField(null=True)
    cap_reason = models.CharField(max_length=500, blank=True, default="")
    # The send in doubt that this request repeats, with an approval of its own.
    repeats = models.ForeignKey(
        "subscriptions.Reclaim", on_delete=models.PROTECT, null=True, related_name="repeated_by"
    )
    decided_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.PROTECT, null=True, related_name="reclaim_decisions"
    )
    decided_at = models.DateTimeField(null=True)
    comment = models.CharField(max_length=500, blank=True)
    # Only of a rejected request to reclaim: what follows for its people, and the end of the pause or the protections.
    kept_as = models.CharField(max_length=10, choices=KeptAs.choices, blank=True, default="", db_default="")
    kept_until = models.DateTimeField(null=True)
    # It grows whenever somebody is taken back in. An approval is valid only for the list that its page has shown.
    revision = models.PositiveIntegerField(default=0, db_default=0)
    # The end of the approval: after this moment nothing more is sent.
    valid_until = models.DateTimeField(null=True)

    profile_path: ClassVar[str] = "profile"
    objects = ProfileManager()

    class Meta:
        verbose_name = _("reclaim request")
        verbose_name_plural = _("approvals")
        ordering: ClassVar = ["-requested_at", "-pk"]
        default_permissions = ("view",)
        permissions: ClassVar = [
            ("decide_reclaimrequest", "Can approve or reject a reclaim request"),
            ("raise_cap_reclaimrequest", "Can raise the cap of a reclaim request"),
            ("restore_reclaimrequest", "Can restore people, or ask for the restore of several"),
        ]
        indexes: ClassVar = [
            # With the profile, so that those of a profile are counted from the index alone.
            models.Index(fields=["state", "id", "profile"], name="request_state"),
            models.Index(
                fields=["profile", "expires_at"],
                condition=models.Q(state__in=("collecting", "open")),
                name="request_waiting",
            ),
        ]
        constraints: ClassVar = [
            # The database also ensures that a second person decides.
            models.CheckConstraint(
                condition=models.Q(decided_by=None)
                | models.Q(requested_by=None)
                | ~models.Q(decided_by=models.F("requested_by")),
                name="request_second_person",
            ),
            models.CheckConstraint(
                condition=~models.Q(state="approved")
                | models.Q(decided_by__isnull=False, decided_at__isnull=False, valid_until__isnull=False)
                | models.Q(direction="reactivate", valid_until__isnull=False),
                name="request_approved_by_somebody",
            ),
            # The person who raises a cap is neither the requester nor the one who decides.
            models.CheckConstraint(
                condition=models.Q(cap_raised_by=None)
                | (
                    (models.Q(requested_by=None) | ~models.Q(cap_raised_by=models.F("requested_by")))
                    & (models.Q(decided_by=None) | ~models.Q(cap_raised_by=models.F("decided_by")))
                ),
                name="request_cap_further_person",
            ),
        ]

    def __str__(self) -> str:
        return self.number

    @property
    def number(self) -> str:
        return f"R-{self.pk:04d}" if self.pk else "R-new"


class RequestedRemovalQuerySet(models.QuerySet["RequestedRemoval"]):
    def not_dropped(self) -> RequestedRemovalQuerySet:
        """The people who are still in their request."""
        return self.filter(dropped_at=None)

    def without_late_keep(self) -> RequestedRemovalQuerySet:
        """Leave out people whose *Keep* stops the send: the same rule as `RequestedRemoval.keep_counts`, in SQL."""
        keep_was_seen = models.Q(answered_at__lte=models.F("request__decided_at"))
        return self.filter(~models.Q(answer=Answer.KEEP) | keep_was_seen)

    def reached(self) -> RequestedRemovalQuerySet:
        """Leave out people who did not answer because a mail to them came back."""
        return self.exclude(answer="", notices__bounced_at__isnull=False)

    def asked_elsewhere(self) -> list[RequestedRemoval]:
        """The people whose question was sent to a former address, with request and candidate."""
        asked = self.filter(notices__kind="ask", notices__state="sent").annotate(asked_at=models.F("notices__email"))
        people = asked.select_related("request", "candidate__subscription")
        return [
            person
            for person in people
            if normalized(person.asked_at) != normalized(person.candidate.subscription.email)  # type: ignore[attr-defined]  # annotated
        ]


RequestedRemovalManager = ProfileManager.from_queryset(RequestedRemovalQuerySet)


class RequestedRemoval(models.Model):
    """One person in a request. Somebody who is dropped is marked. Nobody is added but people who were in it before."""

    request = models.ForeignKey(ReclaimRequest, on_delete=models.PROTECT, related_name="removals")
    candidate = models.ForeignKey(RemovalCandidate, on_delete=models.PROTECT, related_name="removals")
    # The candidate's evidence as the approver sees it: see candidates.propose.freeze_evidence().
    evidence = models.JSONField(editable=False)
    # The answer of a person who was asked. The last answer before the send counts.
    answer = models.CharField(max_length=10, choices=Answer.choices, blank=True, default="")
    answered_at = models.DateTimeField(null=True)
    # Only in a restore: the reclaim that it takes back.
    restores = models.ForeignKey("subscriptions.Reclaim", on_delete=models.PROTECT, null=True, related_name="restores")
    dropped_at = models.DateTimeField(null=True)
    dropped_by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, null=True, related_name="+")
    drop_reason = models.CharField(max_length=200, blank=True)
    # The same as in a rejected request, for somebody whom a user dropped.
    kept_as = models.CharField(max_length=10, choices=KeptAs.choices, blank=True, default="", db_default="")
    kept_until = models.DateTimeField(null=True)

    profile_path: ClassVar[str] = "request__profile"
    objects = RequestedRemovalManager()

    class Meta:
        verbose_name = _("requested removal")
        ordering: ClassVar = ["pk"]
        default_permissions = ("view",)
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["request", "candidate"], name="removal_once_per_request")
        ]
        indexes: ClassVar = [
            models.Index(fields=["request"], condition=models.Q(dropped_at=None), name="removal_not_dropped")
        ]

    def __str__(self) -> str:
        return str(self.candidate)

    @property
    def keep_counts(self) -> bool:
        """Whether the person said *Keep*, and the approver had not seen that. It counts until the send.

        In SQL: `RequestedRemovalQuerySet.without_late_keep`.
        """
        return self.answer == Answer.KEEP and not self.keep_was_overruled

    @property
    def keep_was_overruled(self) -> bool:
        """Whether the person said *Keep* before the decision: the approver saw it, and approved all the same."""
        decided = self.request.decided_at
        seen = decided is not None and self.answered_at is not None and self.answered_at <= decided
        return self.answer == Answer.KEEP and seen
