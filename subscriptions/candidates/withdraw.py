"""Withdraw the candidates that a newer run or rule no longer finds, as long as nobody has decided on them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from typing import Any

from django.db import transaction
from django.utils import timezone

from licensehub.audit.actions import Action
from licensehub.audit.log import record_many
from subscriptions.errors import NotActionable
from subscriptions.models import (
    CandidateState,
    CloseReason,
    ReclaimRequest,
    RemovalCandidate,
    RequestedRemoval,
    RequestState,
    Subscription,
    Verdict,
)

BATCH = 5000

# How an open candidate closes when its verdict is no longer `candidate`.
CLOSING = {
    Verdict.ACTIVE: (CandidateState.CLOSED_CANCELED, CloseReason.ACTIVE_AGAIN),
    Verdict.GONE: (CandidateState.CLOSED_SKIPPED, CloseReason.GONE),
    Verdict.DEACTIVATED: (CandidateState.CLOSED_COMPLETE, CloseReason.ALREADY_INACTIVE),
    Verdict.NOT_IN_SCOPE: (CandidateState.CLOSED_SKIPPED, CloseReason.LICENSE_CHANGED),
    Verdict.IN_GRACE: (CandidateState.CLOSED_SKIPPED, CloseReason.LICENSE_CHANGED),
    Verdict.CANNOT_BE_REMOVED: (CandidateState.CLOSED_SKIPPED, CloseReason.ROLE_CHANGED),
    Verdict.PROTECTED: (CandidateState.CLOSED_SKIPPED, CloseReason.PROTECTED),
    Verdict.ADMIN_ROLE: (CandidateState.CLOSED_SKIPPED, CloseReason.ROLE_CHANGED),
    Verdict.COOLING_DOWN: (CandidateState.CLOSED_SKIPPED, CloseReason.PROTECTED),
}


def closing_for(row: Subscription, verdict: Verdict, evidence: dict[str, Any]) -> tuple[CandidateState, CloseReason]:
    """How a candidate closes when its subscription now has this verdict, which is not `candidate`.

    The reason is the facts where they differ from the evidence (a newer activity, another license), else the rule.
    """
    last_activity = row.last_activity_at.isoformat() if row.last_activity_at else None
    if verdict == Verdict.ACTIVE and last_activity == evidence["last_activity_at"]:
        return CandidateState.CLOSED_SKIPPED, CloseReason.RULE_CHANGED
    if verdict in (Verdict.NOT_IN_SCOPE, Verdict.IN_GRACE) and row.license == evidence["license"]:
        return CandidateState.CLOSED_SKIPPED, CloseReason.RULE_CHANGED
    if verdict == Verdict.CANNOT_BE_REMOVED and row.reclaimable:
        # The only admin of a team: the role in the organization has not changed.
        return CandidateState.CLOSED_SKIPPED, CloseReason.PROTECTED
    if verdict == Verdict.ADMIN_ROLE and list(row.admin_roles) == evidence.get("admin_roles", []):
        return CandidateState.CLOSED_SKIPPED, CloseReason.RULE_CHANGED
    return CLOSING.get(verdict, (CandidateState.CLOSED_SKIPPED, CloseReason.RULE_CHANGED))


def withdraw(profile_id: int, *, before_batch: Callable[[], None] = lambda: None) -> int:
    """Close the candidates that are not approved yet and whose verdict is no longer `candidate`. Returns how many.

    `before_batch` is called before each batch; what it raises leaves the batches before.
    """
    withdrawn, last = 0, 0
    while True:
        stale = (
            RemovalCandidate.objects.withdrawable()
            .filter(profile=profile_id, pk__gt=last)
            .exclude(subscription__evaluation__verdict=Verdict.CANDIDATE)
            .order_by("pk")
        )
        ids = list(stale.values_list("pk", flat=True)[:BATCH])
        if not ids:
            return withdrawn
        before_batch()
        withdrawn, last = withdrawn + _withdraw(ids), ids[-1]


def _withdraw(ids: list[int]) -> int:
    """Close those that nobody has decided on meanwhile. The recheck before the send decides on approved ones."""
    with transaction.atomic():
        locked = RemovalCandidate.objects.select_for_update(of=("self",)).withdrawable().filter(pk__in=ids)
        groups = defaultdict(list)
        for candidate in locked.select_related("subscription__evaluation").order_by("pk"):
            row = candidate.subscription
            if row.verdict != Verdict.CANDIDATE:
                groups[closing_for(row, row.verdict, candidate.evidence)].append(candidate)
        for (state, reason), candidates in groups.items():
            _close(candidates, state, reason)
    return sum(map(len, groups.values()))


def _close(candidates: list[RemovalCandidate], state: CandidateState, reason: CloseReason) -> None:
    now, ids = timezone.now(), [candidate.pk for candidate in candidates]
    closed = RemovalCandidate.objects.filter(pk__in=ids).withdrawable()
    if closed.update(state=state, close_reason=reason, attention="", state_changed_at=now) != len(ids):
        raise NotActionable("Somebody just decided on some of these people. Nothing was changed.")
    data = {"to": state.value, "reason": reason.value}
    targets = [(candidate, data) for candidate in candidates]
    record_many(Action.CANDIDATE_WITHDRAWN, actor=None, targets=targets)
    # They also leave the request that waits; the other people in it can still be approved.
    waiting = ReclaimRequest.objects.filter(state__in=(RequestState.COLLECTING, RequestState.OPEN))
    people = RequestedRemoval.objects.not_dropped().filter(candidate__in=ids, request__in=waiting)
    people.update(dropped_at=now, drop_reason=reason.label)
