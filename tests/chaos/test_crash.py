"""A process dies before and after each commit and each call, whatever the vendor made of the call.

Then somebody else goes on, and every item must come to a legal end, with nobody touched twice.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest
import time_machine
from django.core import mail
from django.core.mail.backends.locmem import EmailBackend

from subscriptions import sweep
from subscriptions.approvals import decide
from subscriptions.approvals.request import request_reclaim
from subscriptions.models import Direction, Reclaim, ReclaimRequest, ReclaimRule, RemovalCandidate, RequestState
from subscriptions.notices import delivery
from subscriptions.reclaims import restores
from subscriptions.reclaims.engine import reclaim_due
from subscriptions.reclaims.signed.state import SignedState
from tests.chaos.support import fake_connector
from tests.chaos.support.crashes import Crash, CrashPoint, crashing, undone
from tests.chaos.support.fake_connector import MemoryConnector, Outcome
from tests.chaos.support.world import ChaosWorld, at_rest, broken_promises, make_world, not_settled

# Longer than a lease, so that each round finds what the one before left lying.
A_WHILE = timedelta(minutes=4)
ROUNDS = 12
BEGIN = datetime(2026, 11, 2, 12, 0, tzinfo=UTC)


@pytest.fixture
def clock():
    with time_machine.travel(BEGIN, tick=False) as traveller:
        yield traveller


@pytest.fixture
def world(clock, db, settings, alice, bob) -> ChaosWorld:
    settings.CONNECTORS = {"miro_enterprise": fake_connector.PATH}
    return make_world(alice, bob, people=3)


def go_on(world: ChaosWorld) -> None:
    """Do what people and beat do next, wherever it stopped: ask for two of the three, approve, repair, read, send."""
    request = ReclaimRequest.objects.first()
    if request is None:
        chosen = RemovalCandidate.objects.filter(state="ready").order_by("pk").values_list("pk", flat=True)[:2]
        request = request_reclaim(
            RemovalCandidate.objects.filter(pk__in=list(chosen)), actor=world.alice, reason="True-up"
        )
    if request.state == RequestState.OPEN:
        decide.approve(request, actor=world.bob)
    engine(world)


def engine(world: ChaosWorld) -> None:
    """Do what the sweep and the task `reclaim` do."""
    sweep.repair()
    sweep.read_back_doubts(world.profile)
    reclaim_due(world.profile)


def go_on_restoring(world: ChaosWorld) -> None:
    """The first of the two who were reclaimed gets the seat back."""
    restored = Reclaim.objects.filter(direction=Direction.REACTIVATE)
    taken = Reclaim.objects.filter(direction=Direction.DEACTIVATE).order_by("pk")
    if not restored.exists():
        restores.restore(taken[0], actor=world.alice, reason="Back from leave")
    engine(world)


def go_on_asking(world: ChaosWorld) -> None:
    """The two are asked by mail first, and say nothing."""
    request = ReclaimRequest.objects.first()
    if request is None:
        ReclaimRule.objects.update(notify_user=True)
        chosen = RemovalCandidate.objects.filter(state="ready").order_by("pk").values_list("pk", flat=True)[:2]
        request_reclaim(RemovalCandidate.objects.filter(pk__in=list(chosen)), actor=world.alice)
    elif request.state == RequestState.OPEN:
        decide.approve(request, actor=world.bob)
    sweep.repair()
    delivery.deliver_due(world.profile)
    engine(world)


def recover(world: ChaosWorld, clock, going_on: Callable[[ChaosWorld], None]) -> None:
    """Other processes, until everything is at rest."""
    world.vendor.outcome = Outcome.APPLIED
    for _ in range(ROUNDS):
        clock.shift(timedelta(days=1) if going_on is go_on_asking else A_WHILE)
        going_on(world)
        if at_rest(world) and Reclaim.objects.exists():
            return


def walk(
    world: ChaosWorld,
    clock,
    outcome: Outcome,
    going_on: Callable[[ChaosWorld], None] = go_on,
    *,
    every: int = 1,
    again: int = 0,
) -> list[str]:
    """Die at the first boundary, then at the next (or `every` so many), until nobody dies. Returns where, by case.

    With `again`, whoever goes on dies as well, at a boundary chosen by that seed.
    """
    deaths: list[str] = []
    while True:
        with undone(MemoryConnector):
            mail.outbox.clear()
            clock.move_to(BEGIN + A_WHILE)
            world.vendor.outcome = outcome
            point = CrashPoint(at=1 + len(deaths) * every)
            died = dies(world, point, going_on)
            if died and again:
                world.vendor.outcome = Outcome.APPLIED
                clock.shift(A_WHILE)
                second = CrashPoint(at=random.Random(f"{again}:{point.at}").randrange(1, 40))  # noqa: S311 - made up, the same in each run
                dies(world, second, going_on)
            recover(world, clock, going_on)
            found = [*broken_promises(world), *not_settled(world), *mailed_twice(), *restored_wrongly(world)]
            assert found == [], f"{outcome}, died {point.where}"
            if not died:
                return deaths
            deaths.append(point.where)


def mailed_twice() -> list[str]:
    """Nobody gets the same mail again."""
    mails = Counter((tuple(message.to), message.subject) for message in mail.outbox)
    return [f"{to} was mailed {times} times: {subject}" for (to, subject), times in mails.items() if times > 1]


def restored_wrongly(world: ChaosWorld) -> list[str]:
    """A seat is given back once, and to nobody else."""
    back = [external_id for external_id, active, by_us in world.vendor.transitions if active and by_us]
    wanted = Reclaim.objects.filter(direction=Direction.REACTIVATE).values_list("subscription__external_id", flat=True)
    return [] if len(back) <= 1 and set(back) <= set(wanted) else [f"restored: {back}"]


def dies(world: ChaosWorld, point: CrashPoint, going_on: Callable[[ChaosWorld], None]) -> bool:
    try:
        with crashing(point, world.vendor):
            going_on(world)
    except Crash:
        return True
    return False


@pytest.mark.parametrize("outcome", list(Outcome))
def test_crashes_here_and_there_reach_a_legal_end(world, clock, outcome):
    """The short form: 5 goes through all kinds of boundaries, which come in pairs."""
    assert len(walk(world, clock, outcome, every=5)) >= 8


@pytest.mark.chaos
@pytest.mark.parametrize("outcome", list(Outcome))
def test_every_crash_reaches_a_legal_end(world, clock, outcome, figures):
    deaths = walk(world, clock, outcome)

    figures.note(crashes=len(deaths))
    around = ["deactivate", "is_active", "people", "validate"]
    assert {f"{side} {name}" for name in around for side in ("before", "after")} - set(deaths) <= (
        {"before is_active", "after is_active"} if outcome in (Outcome.REFUSED, Outcome.LATER) else set()
    )
    assert deaths.count("before a commit") == deaths.count("after a commit") >= 6


@pytest.fixture
def reclaimed(world, clock) -> ChaosWorld:
    go_on(world)
    clock.shift(A_WHILE)
    assert Reclaim.objects.filter(state="done").count() == 2
    return world


@pytest.fixture
def mails_can_crash(monkeypatch):
    """The mail server is outside, too."""
    send = EmailBackend.send_messages

    def send_or_die(self, messages):
        MemoryConnector.vendor.boundary("mail", False)
        sent = send(self, messages)
        MemoryConnector.vendor.boundary("mail", True)
        return sent

    monkeypatch.setattr(EmailBackend, "send_messages", send_or_die)


def test_crashes_of_a_restore_here_and_there(reclaimed, clock):
    assert len(walk(reclaimed, clock, Outcome.APPLIED, go_on_restoring, every=5)) >= 4


def test_crashes_while_people_are_asked_here_and_there(world, clock, mails_can_crash):
    deaths = walk(world, clock, Outcome.APPLIED, go_on_asking, every=7)
    assert len(deaths) >= 2


@pytest.mark.chaos
@pytest.mark.parametrize("outcome", list(Outcome))
def test_every_crash_of_a_restore(reclaimed, clock, outcome, figures):
    deaths = walk(reclaimed, clock, outcome, go_on_restoring)
    figures.note(crashes=len(deaths))
    assert {"before reactivate", "after reactivate"} <= set(deaths)


@pytest.mark.chaos
def test_every_crash_while_people_are_asked(world, clock, mails_can_crash, figures):
    deaths = walk(world, clock, Outcome.APPLIED, go_on_asking)
    figures.note(crashes=len(deaths))
    assert {"before mail", "after mail"} <= set(deaths)


@pytest.mark.chaos
@pytest.mark.parametrize("seed", [1, 2, 3])
@pytest.mark.parametrize("outcome", list(Outcome))
def test_whoever_goes_on_dies_as_well(world, clock, outcome, seed, figures):
    figures.note(crashes=2 * len(walk(world, clock, outcome, again=seed)))


def test_a_crash_after_a_blind_retry_deactivates_twice(world, clock, monkeypatch):
    """The control: a queue that sends again what it has no answer for. Somebody is let back in, and locked out."""

    def blindly() -> int:
        lost = Reclaim.objects.abandoned().filter(state="sending")
        return lost.update(state="queued", token=None, lease_until=None)

    monkeypatch.setattr(sweep, "recover_sends", blindly)
    # The audit knows that it was sent, and a send would ask it.
    monkeypatch.setattr(SignedState, "refusal", lambda *_: "")
    calls = 0

    def human_after_the_first(name: str, after: bool) -> None:
        nonlocal calls
        calls += name == "deactivate" and after
        if calls == 1 and name == "deactivate" and after:
            raise Crash(name)

    world.vendor.boundary = human_after_the_first
    with pytest.raises(Crash):
        go_on(world)
    world.vendor.boundary = lambda name, after: None
    world.vendor.set(world.vendor.writes[0], active=True, by_us=False)
    recover(world, clock, go_on)

    assert any("more often than approved" in finding for finding in broken_promises(world))
    assert world.vendor.again_after_human() == [world.vendor.writes[0]]
