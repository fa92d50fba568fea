"""People leave a request without an approval: the step of their candidates, and what a user chose for them.

*Send back* makes them Ready again at once. *Pause* leaves them alone until a day. *Protect* makes protections.
"""

from __future__ import annotations

import json
import uuid
from collections import defaultdict
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import NamedTuple

from django.contrib.auth.models import User
from django.db.models import QuerySet
from django.db.models.fields.json import KT
from django.utils.translation import gettext as _

from integrations.connectors.contract import english, normalized
from licensehub.audit.actions import Action
from licensehub.audit.log import Actor, Row, record_rows
from licensehub.database.clock import database_now
from licensehub.translations.stored import in_english
from licensehub.ui.formatting import name_of
from licensehub.ui.lists.id_filter import IdIn, IdList
from subscriptions.bulk_sql import planned_for
from subscriptions.candidates.actions import cool_down, pause
from subscriptions.eligibility.terms import Terms
from subscriptions.errors import Refused
from subscriptions.models import (
    CandidateState,
    CloseReason,
    KeptAs,
    ProtectionKind,
    ReclaimRequest,
    RemovalCandidate,
    RequestedRemoval,
)
from subscriptions.review import MAX_PAUSE_DAYS
from subscriptions.rules.protections import ProtectionInput, Wanted, protect_in_transaction

IN_REQUEST = (CandidateState.AWAITING_USER, CandidateState.AWAITING_APPROVAL)
# The reason of a pause is shown in one sentence of the verdict.
MAX_PAUSE_REASON = 200
PAUSED_BY_REJECTION = english("{request} was rejected: “{reason}”")
PAUSED_BY_DROP = english("dropped from {request}: “{reason}”")


@dataclass(frozen=True, slots=True)
class Keep:
    """The choice of a user. `until`: the end of the pause or of the protections; None for protections without end."""

    kept_as: KeptAs = KeptAs.SENT_BACK
    until: datetime | None = None

    def check(self) -> None:
        """Raises Refused for a missing or impossible date."""
        now = database_now()
        if self.kept_as == KeptAs.PAUSED and self.until is None:
            raise Refused(_("Choose the day on which the pause ends."))
        if self.until is not None and self.until <= now:
            raise Refused(_("This day is not in the future. Choose a later one."))
        if self.kept_as == KeptAs.PAUSED and self.until and self.until > now + timedelta(days=MAX_PAUSE_DAYS):
            raise Refused(
                _("A pause ends within {days} days. Protect people who keep their seat for longer.").format(
                    days=MAX_PAUSE_DAYS
                )
            )

    def as_data(self) -> dict[str, str]:
        """For the audit event."""
        until = {"until": self.until.isoformat()} if self.until else {}
        return {"kept_as": self.kept_as.value, **until}


SEND_BACK = Keep()


class Leaving(NamedTuple):
    """The columns of one candidate that moves. Making model objects would take longer than that. `terms` is JSON."""

    pk: int
    subscription: int
    name: str | None
    email: str | None
    terms: str


def release(
    people: QuerySet[RequestedRemoval], *, to: CandidateState, reason: CloseReason | str, actor: Actor
) -> list[Leaving]:
    """Move the candidates of people who leave a request without an approval. Returns those that moved.

    A candidate that was closed meanwhile stays closed. The candidates of a restore do not move: they were closed with
    the reclaims that the restore takes back.
    """
    ids = IdList.of(people.order_by().values_list("candidate", flat=True))
    rows = RemovalCandidate.objects.filter(IdIn("pk", ids), state__in=IN_REQUEST)
    evidence = (KT(f"evidence__{name}") for name in ("name", "email", "terms"))
    with planned_for(ids.number):
        locked = list(rows.order_by("pk").select_for_update().values_list("pk", "subscription", *evidence))
    leaving = [Leaving(*row) for row in locked]
    candidates = RemovalCandidate.objects.filter(IdIn("pk", IdList.of(row.pk for row in leaving)), state__in=IN_REQUEST)
    candidates.update(state=to, close_reason=reason, state_changed_at=database_now())
    action = Action.CANDIDATE_RETURNED if to == CandidateState.READY else Action.CANDIDATE_CLOSED
    label, data = RemovalCandidate._meta.label_lower, {"reason": str(reason)} if reason else {}
    events = [Row(label, row.pk, row.name or row.email or str(row.pk), data) for row in leaving]
    record_rows(action, actor=actor, rows=events, correlation=uuid.uuid4())
    return leaving


def start_cool_downs(leaving: list[Leaving], reason: CloseReason) -> None:
    """Start the cool-downs by the terms in the evidence. Most candidates have the same terms, so these are grouped."""
    by_terms: dict[str, list[int]] = defaultdict(list)
    for row in leaving:
        by_terms[row.terms].append(row.subscription)
    for frozen, ids in by_terms.items():
        terms = Terms.from_json(json.loads(frozen))
        cool_down(ids, days=terms.threshold_for, reason=in_english(reason.label).lower())


def keep_seats(
    people: QuerySet[RequestedRemoval],
    keep: Keep,
    *,
    request: ReclaimRequest,
    reason: CloseReason,
    why: str,
    actor: User,
) -> None:
    """These people leave the request, and what the user chose follows. Call it under the lock of the profile.

    `reason` is REJECTED or DROPPED, `why` is the user's text.
    """
    if keep.kept_as == KeptAs.SENT_BACK:
        release(people, to=CandidateState.READY, reason="", actor=actor)
        return
    leaving = release(people, to=CandidateState.CLOSED_SKIPPED, reason=reason, actor=actor)
    if keep.kept_as == KeptAs.PAUSED and keep.until:
        pause([row.subscription for row in leaving], until=keep.until, reason=pause_reason(request, reason, why))
    elif keep.kept_as == KeptAs.PROTECTED:
        owner = name_of(actor)
        _protect(people, leaving, ProtectionInput(why, owner, keep.until), actor)


def pause_reason(request: ReclaimRequest, reason: CloseReason, why: str) -> str:
    """`R-0003 was rejected: “Quarter close”`, for the verdict of a person who is paused."""
    template = PAUSED_BY_REJECTION if reason == CloseReason.REJECTED else PAUSED_BY_DROP
    most = MAX_PAUSE_REASON - len(template.format(request=request, reason=""))
    return template.format(request=request, reason=why.rstrip(".")[:most])


def _protect(people: QuerySet[RequestedRemoval], leaving: list[Leaving], details: ProtectionInput, actor: User) -> None:
    """Protect those who left. People who are protected already get no second protection."""
    left = people.filter(IdIn("candidate", IdList.of(row.pk for row in leaving))).order_by("pk")
    person = ("pk", "request__profile", "candidate__subscription__email", "candidate__subscription__external_id")
    with planned_for(len(leaving)):
        rows = list(left.values_list(*person))
    wanted = [
        Wanted(ProtectionKind.PERSON, normalized(email), external_id, details, removal_id=pk)
        for pk, _, email, external_id in rows
    ]
    if rows:
        subscriptions = IdList.of(row.subscription for row in leaving)
        protect_in_transaction(rows[0][1], wanted, subscriptions, actor=actor)
