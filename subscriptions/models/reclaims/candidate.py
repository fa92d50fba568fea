"""A removal candidate: one subscription on its way to be reclaimed, with the evidence frozen when it was proposed."""

from __future__ import annotations

from typing import ClassVar

from django.db import models
from django.db.models.fields.json import KT
from django.db.models.functions import Coalesce, NullIf
from django.utils.translation import gettext_lazy as _

from integrations.models import IntegrationProfile
from integrations.scopes.visibility import ProfileManager
from licensehub.database.clock import database_now
from subscriptions.models.download import DownloadRun
from subscriptions.models.subscription import SearchText, Subscription


class CandidateState(models.TextChoices):
    """The names are those of ServiceNow. `CloseReason` says why a candidate was closed."""

    ATTENTION_REQUIRED = "attention_required", _("Attention Required")
    READY = "ready", _("Ready")
    AWAITING_USER = "awaiting_user", _("Awaiting User")
    AWAITING_APPROVAL = "awaiting_approval", _("Awaiting Approval")
    AWAITING_REVOCATION = "awaiting_revocation", _("Awaiting Revocation")
    CLOSED_COMPLETE = "closed_complete", _("Closed Complete")
    CLOSED_SKIPPED = "closed_skipped", _("Closed Skipped")
    CLOSED_CANCELED = "closed_canceled", _("Closed Canceled")


CLOSED = (CandidateState.CLOSED_COMPLETE, CandidateState.CLOSED_SKIPPED, CandidateState.CLOSED_CANCELED)
# Not yet approved: a newer run or rule may withdraw them.
WITHDRAWABLE = (CandidateState.READY, CandidateState.AWAITING_USER, CandidateState.AWAITING_APPROVAL)


class CloseReason(models.TextChoices):
    RECLAIMED = "reclaimed", _("Reclaimed")
    CONFIRMED_LATER = "confirmed_later", _("Reclaimed, confirmed later")
    ALREADY_INACTIVE = "already_inactive", _("Was inactive at the vendor already")
    ACTIVE_AGAIN = "active_again", _("Active again")
    GONE = "gone", _("Left the organization")
    PROTECTED = "protected", _("Protected meanwhile")
    LICENSE_CHANGED = "license_changed", _("License changed")
    ROLE_CHANGED = "role_changed", _("Role changed")
    KEPT_BY_USER = "kept_by_user", _("Kept by the user")
    APPROVAL_LAPSED = "approval_lapsed", _("The approval lapsed")
    RULE_CHANGED = "rule_changed", _("The rule changed")
    REJECTED = "rejected", _("Rejected")
    DROPPED = "dropped", _("Dropped from the request")
    PROFILE_ARCHIVED = "profile_archived", _("Profile archived")
    NEEDS_REVIEW = "needs_review", _("Needs review first")
    LEFT_ALONE = "left_alone", _("Left alone after a check")


class RemovalCandidateQuerySet(models.QuerySet["RemovalCandidate"]):
    def open(self) -> RemovalCandidateQuerySet:
        return self.exclude(state__in=CLOSED)

    def withdrawable(self) -> RemovalCandidateQuerySet:
        return self.filter(state__in=WITHDRAWABLE)


RemovalCandidateManager = ProfileManager.from_queryset(RemovalCandidateQuerySet)


class RemovalCandidate(models.Model):
    """A subscription has at most one open candidate."""

    # Profile and run have no constraint. All candidates that are proposed at once have the same, under a lock of the
    # profile's row. To check both for each of a hundred thousand rows would take longer than to write the rows. They
    # have no index of their own either: one below begins with the profile, and nothing looks for those of a run.
    # Another one begins with the subscription.
    profile = models.ForeignKey(
        IntegrationProfile, on_delete=models.PROTECT, related_name="candidates", db_constraint=False, db_index=False
    )
    subscription = models.ForeignKey(Subscription, on_delete=models.PROTECT, related_name="candidates", db_index=False)
    run = models.ForeignKey(
        DownloadRun,
        verbose_name=_("found by"),
        on_delete=models.PROTECT,
        related_name="candidates",
        db_constraint=False,
        db_index=False,
    )
    state = models.CharField(max_length=20, choices=CandidateState.choices, default=CandidateState.READY)
    close_reason = models.CharField(max_length=20, choices=CloseReason.choices, blank=True, default="")
    # Why a human must look, in the vendor's words if it answered.
    attention = models.TextField(blank=True, default="")
    # Frozen facts, rule version and terms: see candidates.propose.freeze_evidence().
    evidence = models.JSONField(editable=False)
    # From the evidence, for the order and the filters of the list. ISO 8601 in UTC sorts as text in the order of time.
    # SQLite reads the null of a JSON document as the text "null".
    idle_since = models.GeneratedField(
        expression=Coalesce(
            NullIf(KT("evidence__last_activity_at"), models.Value("null", output_field=models.TextField())),
            KT("evidence__license_assigned_at"),
        ),
        output_field=models.CharField(max_length=40, null=True),
        db_persist=True,
    )
    license = models.GeneratedField(
        expression=KT("evidence__license"), output_field=models.CharField(max_length=40, null=True), db_persist=True
    )
    # The texts of the person in `SearchText`, copied for the order and the filters of the list: those of the table have
    # an index of all people, of whom few may be candidates. `subscriptions.search` keeps them equal.
    person_text = models.CharField(
        max_length=SearchText.MAX_TEXT, blank=True, default="", db_default="", editable=False
    )
    person_department = models.CharField(max_length=120, null=True, editable=False)
    person_cost_center = models.CharField(max_length=120, null=True, editable=False)
    created_at = models.DateTimeField(_("candidate since"), default=database_now)
    state_changed_at = models.DateTimeField(default=database_now)

    profile_path: ClassVar[str] = "profile"
    objects = RemovalCandidateManager()

    class Meta:
        verbose_name = _("removal candidate")
        verbose_name_plural = _("removal candidates")
        ordering: ClassVar = ["idle_since", "pk"]
        default_permissions = ("view",)
        permissions: ClassVar = [("request_removalcandidate", "Can request the reclaim of candidates")]
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["subscription"],
                condition=~models.Q(state__in=("closed_complete", "closed_skipped", "closed_canceled")),
                name="candidate_one_open",
            )
        ]
        indexes: ClassVar = [
            # With the license, so that seats are counted from the index alone.
            models.Index(fields=["profile", "state", "license"], name="candidate_state"),
            # With the state, so that the tabs count the people whom a search finds from the index alone.
            models.Index(fields=["subscription", "state"], name="candidate_of_person"),
            models.Index(fields=["state", "idle_since", "id"], name="candidate_state_idle"),
            models.Index(fields=["state", "license", "idle_since", "id"], name="candidate_license_idle"),
            models.Index(fields=["state", "person_text", "id"], name="candidate_state_text"),
            models.Index(fields=["state", "person_department", "id"], name="candidate_state_department"),
            models.Index(fields=["state", "person_cost_center", "id"], name="candidate_state_cost"),
            # The tab of closed candidates has three states, so no index above has its order.
            *(
                models.Index(
                    fields=[column, "id"],
                    condition=models.Q(state__in=("closed_complete", "closed_skipped", "closed_canceled")),
                    name=f"candidate_closed_{name}",
                )
                for name, column in {
                    "idle": "idle_since",
                    "text": "person_text",
                    "department": "person_department",
                    "cost": "person_cost_center",
                }.items()
            ),
        ]

    def __str__(self) -> str:
        return str(self.evidence.get("name") or self.evidence.get("email") or self.pk)

    @property
    def is_open(self) -> bool:
        return self.state not in CLOSED
