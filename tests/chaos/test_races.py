"""Races on PostgreSQL, with a connection for each thread: exactly one wins, and no cap is ever overrun."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from datetime import timedelta
from functools import partial
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import connection, connections
from django.utils import timezone

from licensehub.audit.models import AuditEvent
from subscriptions.approvals import closing, decide
from subscriptions.approvals.request import request_reclaim
from subscriptions.candidates import caps, locks, request_digest
from subscriptions.candidates.request_digest import rows_of
from subscriptions.candidates.withdraw import withdraw
from subscriptions.errors import NotActionable, Refused
from subscriptions.models import (
    CandidateState,
    Evaluation,
    Reclaim,
    ReclaimRequest,
    ReclaimRule,
    RemovalCandidate,
    Subscription,
)
from subscriptions.reclaims.engine import claim, reclaim_due
from subscriptions.turns import Turn
from tests.chaos.support import fake_connector
from tests.chaos.support.world import ChaosWorld, broken_promises, make_world
from tests.support.database.locks import wait_until_somebody_waits
from tests.support.fixtures import person

pytestmark = pytest.mark.skipif(
    connection.vendor != "postgresql", reason="SQLite has one writer at a time; races are PostgreSQL's"
)
PEOPLE = 60


@pytest.fixture
def world(real_transactions, settings, alice, bob) -> ChaosWorld:
    settings.CONNECTORS = {"miro_enterprise": fake_connector.PATH}
    return make_world(alice, bob, people=PEOPLE)


def at_once(acts: list[Callable[[], Any]]) -> list[Any]:
    """Each act in a thread and on a connection of its own; all begin together. Results, or the errors raised."""
    results: list[Any] = [None] * len(acts)
    barrier = threading.Barrier(len(acts))

    def run(number: int) -> None:
        try:
            barrier.wait()
            results[number] = acts[number]()
        except Exception as error:  # noqa: BLE001 - the caller looks at it
            results[number] = error
        finally:
            connections.close_all()

    threads = [threading.Thread(target=run, args=(number,)) for number in range(len(acts))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for result in results:
        if isinstance(result, Exception) and not isinstance(result, Refused | NotActionable):
            raise result
    return results


def requested(world: ChaosWorld, count: int, *, by: User | None = None) -> ReclaimRequest:
    ready = RemovalCandidate.objects.filter(state=CandidateState.READY).order_by("pk")
    chosen = list(ready.values_list("pk", flat=True)[:count])
    return request_reclaim(RemovalCandidate.objects.filter(pk__in=chosen), actor=by or world.alice)


def race_of_approvers(world: ChaosWorld, rounds: int) -> Counter[str]:
    """Two approvers and the requester click 25 times each, all at once, in each round."""
    other = person("erin", "Approver")
    found: Counter[str] = Counter()
    for _ in range(rounds):
        if not RemovalCandidate.objects.filter(state=CandidateState.READY).exists():
            Subscription.objects.update(cooldown_until=None)
            RemovalCandidate.objects.exclude(state=CandidateState.READY).update(state=CandidateState.READY)
            Reclaim.objects.update(state="skipped")
        request = requested(world, 1)
        clicks = [(who, n) for n in range(25) for who in (world.bob, other)] + [(world.alice, 0)] * 5
        results = at_once([partial(decide.approve, request, actor=who) for who, _ in clicks])
        won = [who for (who, _), result in zip(clicks, results, strict=True) if result == 1]
        found["rounds"] += 1
        found["approvals"] += len(won)
        found["own"] += won.count(world.alice)
        found["most"] = max(found["most"], len(won), Reclaim.objects.filter(removal__request=request).count())
        found["refused"] += sum(isinstance(result, Refused | NotActionable) for result in results)
    return found


def evaluated(world: ChaosWorld, found: Counter[str], rounds: int) -> None:
    assert found["approvals"] == rounds and found["most"] == 1 and found["own"] == 0
    assert AuditEvent.objects.filter(action="request.approved").count() == rounds
    assert found["refused"] == rounds * 54


def test_two_approvers_at_once(world):
    evaluated(world, race_of_approvers(world, 3), 3)


@pytest.mark.chaos
def test_two_approvers_at_once_a_hundred_times(world, figures):
    found = race_of_approvers(world, 100)
    figures.note(clicks=100 * 55, **found)
    evaluated(world, found, 100)


def test_approvers_both_win_without_the_guard(world, monkeypatch):
    """The control: check, then save. Somebody else may have decided in between."""

    def check_then_save(request, state, *, actor, comment, now, revision):
        found = ReclaimRequest.objects.get(pk=request.pk)
        if found.state != "open":
            raise NotActionable("Decided already.")
        barrier.wait()
        ReclaimRequest.objects.filter(pk=request.pk).update(
            state=state, decided_by=actor, decided_at=now, valid_until=now + timedelta(days=7)
        )
        request.refresh_from_db()

    barrier = threading.Barrier(2, timeout=10)
    won: list[int] = []
    monkeypatch.setattr(decide, "_decide", check_then_save)
    # It takes a lock, too.
    monkeypatch.setattr(decide, "refuse_changed_outside", rows_of)
    monkeypatch.setattr(locks, "lock_profile", lambda profile_id: world.profile)
    monkeypatch.setattr(locks, "lock_request", lambda request: None)
    # The candidates' own guard would find the second one, too.
    monkeypatch.setattr(decide, "_move_on", lambda people, now: None)
    monkeypatch.setattr(decide, "enqueue", lambda request, people, **given: won.append(1) or len(people))
    request = requested(world, 1)
    other = person("erin", "Approver")

    results = at_once([partial(decide.approve, request, actor=who) for who in (world.bob, other)])

    assert results == won == [1, 1], results


def a_decision_beside(world: ChaosWorld, monkeypatch, act: str, other: str) -> list[Any]:
    """Bob's decision holds the head of the audit, and goes on when the other act waits for a lock of it."""
    request = requested(world, 3)
    held = threading.Event()

    def lock_and_stay() -> None:
        lock_audit()
        if threading.current_thread().name == "decides" and not held.is_set():
            held.set()
            wait_until_somebody_waits()

    lock_audit = locks.lock_audit
    monkeypatch.setattr(locks, "lock_audit", lock_and_stay)
    monkeypatch.setattr(request_digest, "lock_audit", lock_and_stay)
    decisions = {"approve": decide.approve, "reject": partial(decide.reject, comment="They come back in May.")}

    def decide_first() -> int:
        threading.current_thread().name = "decides"
        return decisions[act](request, actor=world.bob)

    def act_beside() -> object:
        assert held.wait(10)
        if other == "withdraw":
            return withdraw(world.profile.pk)
        closing.cancel(ReclaimRequest.objects.get(pk=request.pk), actor=world.alice)
        return None

    if other == "withdraw":
        ids = request.removals.values("candidate__subscription")
        Evaluation.objects.filter(subscription__in=ids).update(verdict="active")
    return at_once([decide_first, act_beside])


@pytest.mark.parametrize("act", ["approve", "reject"])
@pytest.mark.parametrize("other", ["withdraw", "cancel"])
def test_a_decision_beside_an_end_of_its_request_is_no_deadlock(world, monkeypatch, act, other):
    """All take candidates, request and head of the audit in one order, so the other one waits and comes too late."""
    decided, ended = a_decision_beside(world, monkeypatch, act, other)

    assert decided == 3
    if other == "cancel":
        assert isinstance(ended, NotActionable)
    else:
        assert ended == {"approve": 0, "reject": 3}[act]
    assert broken_promises(world) == []


def test_twenty_requests_against_one_rolling_cap(world):
    """20 people of 60 are allowed in 24 hours; 20 workers would like to send 60."""
    for _ in range(20):
        decide.approve(requested(world, 3), actor=world.bob)
    ReclaimRule.objects.update(rolling_cap_percent=33)

    at_once([lambda: reclaim_due(world.profile, turn=Turn(90))] * 20)

    assert caps.caps_of(world.profile).used == len(world.vendor.writes) == 20
    assert Reclaim.objects.filter(state="queued").exclude(hold_reason="").count() == 40
    assert broken_promises(world) == []


def test_the_rolling_cap_is_overrun_without_the_lock(world, monkeypatch):
    """The control: everybody counts before anybody has sent."""
    for _ in range(20):
        decide.approve(requested(world, 3), actor=world.bob)
    ReclaimRule.objects.update(rolling_cap_percent=2)
    counted = threading.Barrier(4, timeout=5)
    monkeypatch.setattr(locks, "lock_profile", lambda profile_id: world.profile)
    count = caps.touched_by

    def count_together(request):
        found = count(request)
        with suppress(threading.BrokenBarrierError):
            counted.wait()
        return found

    monkeypatch.setattr(caps, "touched_by", count_together)
    monkeypatch.setattr("subscriptions.reclaims.engine.CLAIM", 1)

    at_once([lambda: reclaim_due(world.profile, turn=Turn(30))] * 4)

    assert len(world.vendor.writes) > caps.caps_of(world.profile).rolling


def test_a_seat_that_is_taken_while_the_caps_are_counted_counts_once_at_most(world, monkeypatch):
    """61 seats of 60 would let one person more through."""
    decide.approve(requested(world, 1), actor=world.bob)
    ReclaimRule.objects.update(rolling_cap_percent=33)
    held = Subscription.objects.held

    def settled_meanwhile():
        Reclaim.objects.update(state="done", sending_at=timezone.now())
        Subscription.objects.filter(pk__in=Reclaim.objects.values("subscription")).update(active=False)
        return held()

    with monkeypatch.context() as patch:
        patch.setattr(type(Subscription.objects), "held", lambda manager: settled_meanwhile())
        assert (caps.caps_of(world.profile).seats, caps.caps_of(world.profile).rolling) == (59, 20)


def test_twenty_approvals_against_one_batch_cap(world):
    """The cap of a request is lowered while its approvals race: none gets through above it."""
    request = requested(world, 10)
    ReclaimRule.objects.update(batch_cap_people=5)

    results = at_once([lambda: decide.approve(request, actor=world.bob)] * 20)

    assert all(isinstance(result, Refused) for result in results)
    assert not Reclaim.objects.exists()


def test_two_workers_on_one_claim(world):
    decide.approve(requested(world, PEOPLE), actor=world.bob)

    taken = at_once([lambda: [item.pk for item in claim(world.profile, count=7)]] * 20)

    ids = [pk for claimed in taken for pk in claimed]
    assert len(ids) == len(set(ids)) == PEOPLE


def test_two_workers_send_each_item_once(world, monkeypatch):
    request = requested(world, 24)
    decide.approve(request, actor=world.bob)
    monkeypatch.setattr(claim, "__kwdefaults__", {"count": 3, "direction": "deactivate"})

    at_once([lambda: reclaim_due(world.profile, turn=Turn(20))] * 2)

    asked = request.removals.values_list("candidate__subscription__external_id", flat=True)
    assert Counter(world.vendor.writes) == Counter(asked)
    assert len(world.vendor.writes) == 24
    assert broken_promises(world) == []
