"""Withdraw the candidates that a newer run or rule no longer finds, as long as nobody has decided on them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from datetime import datetime
from typing import Any, NamedTuple, Protocol

from django.db import transaction
from django.db.models.fields.json import KT
from django.utils.translation import gettext as _

from licensehub.audit.actions import Action
from licensehub.audit.log import Row, record_rows
from licensehub.database.clock import database_now
from licensehub.translations.stored import in_english
from licensehub.ui.lists.id_filter import IdIn, IdList
from subscriptions.bulk_sql import batches, planned_for
from subscriptions.candidates.request_digest import next_digests
from subscriptions.errors import NotActionable
from subscriptions.models import (
    CandidateState,
    CloseReason,
    Evaluation,
    ReclaimRequest,
    RemovalCandidate,
    RequestedRemoval,
    Subscription,
    Verdict,
)
from subscriptions.models.reclaims.request import WAITING
from subscriptions.models.subscription import NEEDS_REVIEW

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
    Verdict.UNKNOWN: (CandidateState.CLOSED_SKIPPED, CloseReason.NEEDS_REVIEW),
    Verdict.DATES_WENT_BACK: (CandidateState.CLOSED_SKIPPED, CloseReason.NEEDS_REVIEW),
}


class Facts(Protocol):
    """The facts that decide how a candidate closes: a Subscription, or a row with these columns only."""

    @property
    def license(self) -> str: ...
    @property
    def last_activity_at(self) -> datetime | None: ...
    @property
    def reclaimable(self) -> bool: ...
    @property
    def admin_roles(self) -> tuple[str, ...]: ...


def closing_for(row: Facts, verdict: Verdict, evidence: dict[str, Any]) -> tuple[CandidateState, CloseReason]:
    """Return how a candidate closes when its subscription now has this verdict, which is not `candidate`.

    The reason is the facts where they differ from the evidence (a newer activity, another license), else the rule.
    """
    if verdict in NEEDS_REVIEW and "review" in evidence:
        # An admin had decided, and the facts have changed since.
        return CandidateState.CLOSED_SKIPPED, CloseReason.NEEDS_REVIEW
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
    stale = RemovalCandidate.objects.withdrawable().filter(profile=profile_id)
    stale = stale.exclude(subscription__evaluation__verdict=Verdict.CANDIDATE)
    withdrawn = 0
    for batch in batches(stale.values_list("pk", flat=True), BATCH):
        before_batch()
        withdrawn += _withdraw(batch)
    return withdrawn


class _Stale(NamedTuple):
    """The columns of one candidate. Making model objects would take longer than the rest."""

    pk: int
    subscription_id: int
    evidence: dict[str, Any]

    @property
    def name(self) -> str:
        return str(self.evidence["name"] or self.evidence["email"] or self.pk)


class _Facts(NamedTuple):
    """The facts of today about the person of a candidate."""

    license: str
    last_activity_at: datetime | None
    reclaimable: bool
    admin_roles: tuple[str, ...]


def _withdraw(ids: list[int]) -> int:
    """Close these candidates, except those that somebody decided on meanwhile. For approved ones, the recheck decides.

    Each statement reads one table by ids, so that no plan is quadratic.
    """
    with transaction.atomic():
        # All code locks candidates in the order of their ids, so that there is no deadlock.
        rows = RemovalCandidate.objects.withdrawable().filter(IdIn("pk", IdList.of(ids))).order_by("pk")
        locked = [_Stale(*row) for row in rows.select_for_update().values_list(*_Stale._fields)]
        people = IdList.of(row.subscription_id for row in locked)
        of_people = Evaluation.objects.filter(IdIn("subscription", people))
        verdicts = dict(of_people.values_list("subscription", "verdict"))
        facts = {
            pk: _Facts(*values)
            for pk, *values in Subscription.objects.filter(IdIn("pk", people)).values_list("pk", *_Facts._fields)
        }
        groups = defaultdict(list)
        for row in locked:
            verdict = Verdict(verdicts.get(row.subscription_id, Verdict.NOT_EVALUATED))
            if verdict != Verdict.CANDIDATE:
                groups[closing_for(facts[row.subscription_id], verdict, row.evidence)].append(row)
        for (state, reason), candidates in groups.items():
            _close(candidates, state, reason)
    return sum(map(len, groups.values()))


def _close(candidates: list[_Stale], state: CandidateState, reason: CloseReason) -> None:
    now, ids = database_now(), IdList.of(row.pk for row in candidates)
    closed = RemovalCandidate.objects.filter(IdIn("pk", ids)).withdrawable()
    if closed.update(state=state, close_reason=reason, attention="", state_changed_at=now) != ids.number:
        raise NotActionable(_("Somebody just decided on some of these people. Nothing was changed."))
    label, data = RemovalCandidate._meta.label_lower, {"to": state.value, "reason": reason.value}
    events = [Row(label, row.pk, row.name, data) for row in candidates]
    record_rows(Action.CANDIDATE_WITHDRAWN, actor=None, rows=events)
    # They also leave the request that waits; the other people in it can still be approved.
    waiting = ReclaimRequest.objects.filter(state__in=WAITING)
    people = RequestedRemoval.objects.not_dropped().filter(IdIn("candidate", ids), request__in=waiting)
    columns = ("request", "pk", KT("evidence__name"), KT("evidence__email"))
    with planned_for(ids.number):
        left = list(people.order_by("pk").values_list(*columns))
        people.update(dropped_at=now, drop_reason=in_english(reason.label))
    _record_drops(left, in_english(reason.label))


def _record_drops(left: list[tuple[int, int, str | None, str | None]], reason: str) -> None:
    """An event for each person, with the digest that the request has without all of them."""
    label, events = ReclaimRequest._meta.label_lower, []
    requests = ReclaimRequest.objects.in_bulk({request for request, *_ in left})
    people: dict[int, list[int]] = defaultdict(list)
    for request, pk, *_names in left:
        people[request].append(pk)
    same = {pk: {"reason": reason, **next_digests(row, dropped=people[pk])} for pk, row in requests.items()}
    for request, pk, name, email in left:
        data = {"person": name or email or str(pk), "removal": pk, **same[request]}
        events.append(Row(label, request, str(requests[request]), data))
    record_rows(Action.PERSON_DROPPED, actor=None, rows=events)
