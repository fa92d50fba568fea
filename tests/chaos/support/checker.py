"""Compares three histories after a fault test: the sandbox's truth, our ledger, and our audit.

`findings()` is empty when they agree and every promise was kept; else each is a sentence. A control expects some.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from django.db import connection

from integrations.connectors.miro.sandbox.control import SandboxControl
from licensehub.audit.models import AuditEvent
from subscriptions.models import CandidateState, Direction, Reclaim, ReclaimState, RequestedRemoval
from tests.support.audit_chain import verify_chain

AT_REST = {
    ReclaimState.DONE: {CandidateState.CLOSED_COMPLETE},
    ReclaimState.SKIPPED: {
        CandidateState.CLOSED_COMPLETE,
        CandidateState.CLOSED_SKIPPED,
        CandidateState.CLOSED_CANCELED,
        CandidateState.READY,
    },
    ReclaimState.FAILED: {CandidateState.ATTENTION_REQUIRED},
    ReclaimState.IN_DOUBT: {CandidateState.ATTENTION_REQUIRED},
}
# What each settled item must have in the audit, once.
ENDING = {
    ReclaimState.DONE: "reclaim.done",
    ReclaimState.SKIPPED: "reclaim.skipped",
    ReclaimState.FAILED: "reclaim.failed",
}


@dataclass(frozen=True)
class Histories:
    """Truth from the sandbox's summary; the ledger and the audit are read from the database."""

    truth: dict[str, Any]
    approved: frozenset[str]

    @classmethod
    def read(cls, miro: SandboxControl) -> Histories:
        signed = RequestedRemoval.objects.exclude(reclaim=None).filter(request__direction=Direction.DEACTIVATE)
        ids = signed.values_list("candidate__subscription__external_id", flat=True)
        return cls(truth=miro.summary(), approved=frozenset(ids))

    def findings(self, *, doubts: float = 0.03) -> list[str]:
        """`doubts`: the share of items that may be left to a human."""
        return [
            *self._untouched(),
            *self._once(),
            *self._at_rest(doubts),
            *self._truth_is_known(),
            *self._intent_first(),
            *audit_findings(),
        ]

    def _untouched(self) -> Iterator[str]:
        patched = {patch[1] for patch in self.truth["patches"]}
        yield from _some("a bystander was touched", patched - self.approved)

    def _once(self) -> Iterator[str]:
        yield from _some("deactivated more than once on one approval", self.truth["deactivated_more_than_once"])
        yield from _some("deactivated again after a human", self.truth["deactivated_again_after_human"])

    def _at_rest(self, doubts: float) -> Iterator[str]:
        items = list(_items().select_related("removal__candidate", "subscription"))
        if len(items) != len(self.approved):
            yield f"{len(self.approved)} were approved, and {len(items)} are in the ledger"
        for item in items:
            if item.state not in AT_REST or not item.finished_at:
                yield f"{item.subscription.external_id} is not at rest: {item.state}, {item.outcome}"
            elif item.removal.candidate.state not in AT_REST[ReclaimState(item.state)]:
                yield f"{item.subscription.external_id} is {item.state}, its candidate {item.removal.candidate.state}"
        left = sum(item.state == ReclaimState.IN_DOUBT for item in items)
        if left > doubts * len(items):
            yield f"{left} of {len(items)} are in doubt, more than {doubts:.0%}"

    def _truth_is_known(self) -> Iterator[str]:
        ids = _items().values_list("subscription__external_id", "state")
        by_state: dict[str, set[str]] = defaultdict(set)
        for external_id, state in ids:
            by_state[state].add(external_id)
        down = set(self.truth["deactivated_by_scim"])
        yield from _some("said to be reclaimed, and never was", by_state[ReclaimState.DONE] - down)
        known = by_state[ReclaimState.DONE] | by_state[ReclaimState.IN_DOUBT]
        yield from _some("deactivated, and the ledger does not know", down - known)

    def _intent_first(self) -> Iterator[str]:
        """Each PATCH that came in has an intent of its own, committed before it."""
        intents = _intents()
        seen: Counter[str] = Counter()
        for received, external_id, number, _ in self.truth["patches"]:
            moments = intents.get(external_id, [])
            nth = seen[external_id]
            seen[external_id] += 1
            if nth >= len(moments) or moments[nth] > _moment(received):
                yield f"PATCH {number} for {external_id} came in before its intent was committed"


def audit_findings() -> Iterator[str]:
    """The chain, and the anti-joins: no item without its events, no event twice."""
    yield from (f"the audit: {found.sentence}" for found in verify_chain().findings)
    events: dict[int, Counter[str]] = defaultdict(Counter)
    rows = AuditEvent.objects.filter(target_type="subscriptions.reclaim").values_list("target_id", "action")
    for target, action in rows:
        events[target][action] += 1
    for item in _items():
        yield from _missing_events(item, events[item.pk])


def _missing_events(item: Reclaim, found: Counter[str]) -> Iterator[str]:
    wanted = {"reclaim.queued": 1}
    if item.state in ENDING:
        wanted[ENDING[ReclaimState(item.state)]] = 1
    for action, times in wanted.items():
        if found[action] != times:
            yield f"item {item.pk} is {item.state} and has {found[action]} events {action}"
    if item.state in (ReclaimState.DONE, ReclaimState.IN_DOUBT) and not found["reclaim.sending"]:
        yield f"item {item.pk} is {item.state} without an event that it was sent"
    if item.state == ReclaimState.IN_DOUBT and not found["reclaim.in_doubt"]:
        yield f"item {item.pk} is in doubt without an event of it"


def states() -> dict[str, int]:
    """Return how many items are in each state."""
    return dict(Counter(_items().values_list("state", flat=True)))


def _items() -> Any:
    return Reclaim.objects.filter(direction=Direction.DEACTIVATE).order_by("pk")


def _intents() -> dict[str, list[datetime]]:
    """External id -> when its intents were committed, in their order.

    PostgreSQL tells the commit itself where `track_commit_timestamp` is on, as in the tests' own cluster.
    """
    committed = "pg_xact_commit_timestamp(xmin)" if _tells_commits() else "at"
    by_person: dict[str, list[datetime]] = defaultdict(list)
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT target_id, {committed} FROM audit_auditevent WHERE action = 'reclaim.sending' ORDER BY sequence"  # noqa: S608 - constants of this module
        )
        rows = cursor.fetchall()
    people = dict(_items().values_list("pk", "subscription__external_id"))
    for target, at in rows:
        by_person[people[target]].append(_moment(at))
    return by_person


def _tells_commits() -> bool:
    if connection.vendor != "postgresql":
        return False
    with connection.cursor() as cursor:
        cursor.execute("SHOW track_commit_timestamp")
        return bool(cursor.fetchone()[0] == "on")


def _moment(value: Any) -> datetime:
    """SQLite gives text."""
    moment = value if isinstance(value, datetime) else datetime.fromisoformat(str(value))
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _some(words: str, ids: Iterable[str]) -> Iterator[str]:
    found = sorted(ids)
    if found:
        yield f"{words}: {len(found)} people, e.g. {', '.join(found[:3])}"
