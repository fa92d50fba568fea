"""The promises hold in lives that Hypothesis makes up; see `life`."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import pytest
import time_machine

from subscriptions import sweep
from subscriptions.downloads import outages
from subscriptions.models import Reclaim
from subscriptions.reclaims.engine import reclaim_due
from subscriptions.reclaims.recheck import Decision
from subscriptions.reclaims.signed.state import SignedState
from tests.chaos.support import fake_connector
from tests.chaos.support.crashes import Crash, CrashPoint, crashing
from tests.chaos.support.fake_connector import Outcome
from tests.chaos.support.state_machine import BEGIN, PEOPLE, SHORT_WAITS, Life, live
from tests.chaos.support.world import ChaosWorld, broken_promises, make_world


@pytest.fixture
def world(db, settings, monkeypatch, alice, bob) -> ChaosWorld:
    # The clock stands still: a vendor that is away does not come back while a download waits for it.
    monkeypatch.setattr(outages, "OUTAGE_DELAYS", ())
    settings.CONNECTORS = {"miro_enterprise": fake_connector.PATH}
    with time_machine.travel(BEGIN, tick=False):
        return make_world(alice, bob, people=PEOPLE)


def test_a_few_hundred_steps(world, carol):
    assert live(world, [carol], runs=6, steps=40, given=None) >= 200


@pytest.mark.chaos
@pytest.mark.parametrize("given", [1, 2])
def test_twenty_thousand_steps(world, carol, figures, given):
    steps = live(world, [carol], runs=200, steps=60, given=given)
    figures.note(steps=steps, broken_promises=0, **{" ".join(what): count for what, count in Life.seen.items()})
    assert steps >= 10_000
    ends = [("deactivate", state) for state in ("done", "skipped", "failed", "in_doubt")]
    assert {*ends, ("reactivate", "done")} <= set(Life.seen)


def test_a_recovery_that_sends_blindly_breaks_a_promise(world, carol, monkeypatch):
    """The control: a recovery that sends blindly again is found out."""

    def blindly() -> int:
        lost = Reclaim.objects.abandoned().filter(state="sending")
        return lost.update(state="queued", token=None, lease_until=None)

    monkeypatch.setattr(sweep, "recover_sends", blindly)
    # The audit knows that it was sent, and a send would ask it.
    monkeypatch.setattr(SignedState, "refusal", lambda *_: "")
    monkeypatch.setattr("subscriptions.reclaims.engine.recheck", everybody_goes)
    Life.world, Life.others = world, [carol]
    life = Life()
    try:
        life.request(0, 1, "alice")
        life.approve(0, "bob")
        with suppress(Crash), crashing(CrashPoint(at=10_000), life.vendor):
            life.vendor.boundary = die_after_the_write
            reclaim_due(world.profile)
        life.vendor.boundary = lambda name, after: None
        life.human_reactivates(0)
        life.wait(SHORT_WAITS[1])
        life.recover(Outcome.APPLIED)
        life.execute(Outcome.APPLIED)
        assert any("more often than approved" in finding for finding in broken_promises(world))
    finally:
        life.teardown()


def everybody_goes(profile: Any, items: list[Reclaim], connector: Any) -> dict[int, Any]:
    return {item.pk: Decision(send=True, sentence="") for item in items}


def die_after_the_write(name: str, after: bool) -> None:
    if name == "deactivate" and after:
        raise Crash(name)
