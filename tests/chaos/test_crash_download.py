"""A process dies before and after each commit and each call of a download and its follow-up.

Then others continue, as the sweep enqueues them, and the result is the same as without a crash.
"""

from __future__ import annotations

import math
import random
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import count

import pytest
import time_machine
from django.utils import timezone

from integrations.models import IntegrationProfile
from licensehub.audit.models import AuditEvent
from subscriptions import sweep
from subscriptions.downloads import follow_up
from subscriptions.downloads import run as downloading
from subscriptions.downloads.lease import DownloadError
from subscriptions.downloads.parts import Part, PartOver
from subscriptions.downloads.run import download_subscriptions
from subscriptions.eligibility.evaluate import evaluate_profile
from subscriptions.models import (
    DownloadedMember,
    DownloadRun,
    ReclaimRequest,
    ReclaimRule,
    RemovalCandidate,
    Subscription,
)
from subscriptions.models.download import StartedBy
from tests.chaos.support.checker import audit_findings
from tests.chaos.support.crashes import Crash, CrashPoint, crashing, undone
from tests.chaos.support.fake_connector import FullConnector, MemoryConnector
from tests.chaos.support.world import ChaosWorld, make_world

BEGIN = datetime(2026, 11, 2, 12, 0, tzinfo=UTC)
# Longer than a lease.
A_WHILE = timedelta(minutes=2)
ROUNDS = 30
PEOPLE = 6


@pytest.fixture
def clock() -> Iterator[time_machine.Traveller]:
    with time_machine.travel(BEGIN, tick=False) as traveller:
        yield traveller


@pytest.fixture
def world(clock, db, settings, alice, bob) -> ChaosWorld:
    """One person comes back, one leaves, one is new; the rule files requests. Pages have two people."""
    settings.CONNECTORS = {"miro_enterprise": f"{FullConnector.__module__}.{FullConnector.__name__}"}
    world = make_world(alice, bob, people=PEOPLE)
    ReclaimRule.objects.update(file_requests="automatic")
    clock.move_to(BEGIN + A_WHILE)
    members, now = world.vendor.members, timezone.now()
    members["9001"] = members["9001"]._replace(last_activity_at=now)
    del members["9002"]
    members |= {
        str(number): members["9003"]._replace(external_id=str(number), email=f"n{number}@northwind.example")
        for number in (9100, 9101)
    }
    world.vendor.page = 2
    IntegrationProfile.objects.update(download_due_at=now)
    return world


def go_on(world: ChaosWorld, *, seconds: float = math.inf) -> None:
    """Do the same as the sweep and its tasks."""
    for _ in sweep.profiles_to_download():
        download_subscriptions(world.profile, actor=None, started_by=StartedBy.PUBLISH, part=Part(seconds))
    for run_id in sweep.runs_to_follow_up():
        follow_up.resume(run_id, part=Part(seconds))


def dies(world: ChaosWorld, point: CrashPoint) -> bool:
    try:
        with crashing(point, world.vendor):
            go_on(world)
    except Crash:
        return True
    except DownloadError:
        return point.dead
    return False


def recover(world: ChaosWorld, clock: time_machine.Traveller) -> None:
    for _ in range(ROUNDS):
        clock.shift(A_WHILE)
        go_on(world)
        if not sweep.profiles_to_download() and not DownloadRun.objects.exclude(state="complete").exists():
            return


def walk(world: ChaosWorld, clock: time_machine.Traveller, *, every: int = 1, again: int = 0) -> list[str]:
    """Die at the first boundary, then at each later one (or each `every`th), until no process dies. Returns where."""
    deaths: list[str] = []
    for number in count():
        with undone(MemoryConnector):
            clock.move_to(BEGIN + A_WHILE)
            point = CrashPoint(at=1 + number * every)
            died = dies(world, point)
            if died and again:
                clock.shift(A_WHILE)
                dies(world, CrashPoint(at=random.Random(f"{again}:{point.at}").randrange(1, 60)))  # noqa: S311 - made up
            recover(world, clock)
            assert wrong(world) == [], f"died {point.where}"
        if not died:
            return deaths
        deaths.append(point.where)
    return deaths


def wrong(world: ChaosWorld) -> list[str]:
    """The differences to the result without a crash."""
    found = list(audit_findings())
    run = DownloadRun.objects.first()
    facts = (run.state, run.follow_up, run.read, run.new, run.changed, run.gone)
    expected = [
        (facts, ("complete", "done", PEOPLE + 1, 2, 1, 1)),
        (DownloadRun.objects.count(), 2),
        (DownloadedMember.objects.count(), 0),
        (list(Subscription.objects.exclude(sole_admin_of="").values_list("external_id", flat=True)), ["9000"]),
        (Subscription.objects.filter(gone_at=None, name="").count(), 0),
        (evaluate_profile(world.profile), 0),
        (ReclaimRequest.objects.count(), 1),
        (RemovalCandidate.objects.filter(state="awaiting_approval").count(), PEOPLE - 3 + 2),
        (AuditEvent.objects.filter(action="download.completed").count(), 2),
        (AuditEvent.objects.filter(action="download.evaluated").count(), 2),
    ]
    return [*found, *(f"{value} is not {wanted}" for value, wanted in expected if value != wanted)]


def test_some_crashes_of_a_download_reach_the_same_end(world, clock):
    """The short form of the next test. Each 13th boundary gives all kinds of boundaries."""
    assert len(walk(world, clock, every=13)) >= 5


@pytest.mark.chaos
def test_every_crash_of_a_download_reaches_the_same_end(world, clock, figures):
    deaths = walk(world, clock)
    figures.note(crashes=len(deaths))
    calls = ["allocation", "members", "directory", "team_admins"]
    assert {f"{side} {name}" for name in calls for side in ("before", "after")} <= set(deaths)
    assert deaths.count("before a commit") == deaths.count("after a commit") >= 20


@pytest.mark.chaos
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_the_process_that_continues_a_download_may_die_as_well(world, clock, seed, figures):
    figures.note(crashes=2 * len(walk(world, clock, again=seed)))


def test_parts_of_one_page_reach_the_same_end(world, clock, monkeypatch):
    checks = []

    def check(self):
        checks.append(1)
        if len(checks) % 3 == 1:
            raise PartOver

    monkeypatch.setattr(Part, "check", check)
    monkeypatch.setattr(downloading, "MAX_PAGES_AT_ONCE", 1)
    go_on(world)
    recover(world, clock)
    assert wrong(world) == []
    assert DownloadRun.objects.first().parts > 5


def test_without_the_sweep_a_crash_leaves_yesterdays_verdicts(world, clock, monkeypatch):
    """The control: no process continues the follow-up."""
    monkeypatch.setattr(sweep, "runs_to_follow_up", list)
    point = CrashPoint(at=40)
    assert dies(world, point)
    recover(world, clock)
    assert DownloadRun.objects.first().state == "evaluating"
    assert any("is not" in finding for finding in wrong(world))
