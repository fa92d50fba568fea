"""Kill storm: real workers, a real broker, a real database and a sandbox, all of them failing at once.

Then three histories are compared: what became of the people at the sandbox, our ledger, and our audit.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from integrations.connectors.miro.sandbox.control import SandboxControl
from integrations.models import IntegrationProfile
from licensehub.audit.models import AuditEvent
from subscriptions.models import Reclaim, ReclaimState
from subscriptions.models.reclaims.reclaim import UNFINISHED
from tests.chaos.support.checker import Histories, states
from tests.chaos.support.figures import Figures
from tests.chaos.support.processes import Beat, Workers, cut_connections, patiently, restart_database, sandbox_process
from tests.chaos.support.storm import Plan, approved_people
from tests.support.servers.workers import BrokerProcess

LONG = Plan(approved=5000, by_hand=0.01, doubts=0.03, seed=1)
BY_HAND = Plan(approved=1500, by_hand=0.30, doubts=0.05, seed=2)
BLIND = Plan(approved=300, by_hand=0.30, doubts=1.0, seed=3, defense_off="read_first", restarts=(), flushes=())
SHORT = Plan(
    approved=60,
    by_hand=0.30,
    doubts=0.30,
    seed=4,
    kill_every=6,
    hang=3.5,
    read=2.0,
    lease=6.0,
    workers=2,
    broker_kills=(0.1,),
    flushes=(0.4,),
    restarts=(0.25,),
    within=180.0,
)
# Few people and no kills: half of the answers are lost, and a human undoes each reclaim before it is sent again.
SHORT_BLIND = replace(
    SHORT,
    approved=10,
    by_hand=1.0,
    defense_off="read_first",
    kill_every=100,
    broker_kills=(),
    flushes=(),
    restarts=(),
    mix={"error_after": 0.5},
    match={"method": "PATCH"},
)


@dataclass
class Storm:
    """One storm from the approvals to the moment when everything is at rest."""

    plan: Plan
    miro: SandboxControl
    profile: IntegrationProfile
    workers: Workers
    broker: BrokerProcess
    crash_database: Callable[[], None]
    begun: float = field(default_factory=time.monotonic)
    done: list[str] = field(default_factory=list)

    def rage(self) -> None:
        events = self._events()
        self.workers.start()
        at_last_kill = 0
        while events or not patiently(self._at_rest):
            assert self.seconds() < self.plan.within, f"not at rest in time: {patiently(states)}"
            time.sleep(0.05)
            settled = patiently(self._settled)
            if events and settled >= events[0][0] * self.plan.approved:
                _, name, act = events.pop(0)
                act()
                self.done.append(name)
            if settled - at_last_kill >= self.plan.kill_every:
                self._kill()
                at_last_kill = settled
        # A crash of the database takes long, so two kills may fall together.
        assert self.workers.killed >= self.plan.least_kills
        self.workers.kill()

    def _kill(self) -> None:
        self.workers.kill()
        self.workers.start()

    def seconds(self) -> float:
        return time.monotonic() - self.begun

    def _events(self) -> list[tuple[float, str, Callable[[], None]]]:
        acts = [(at, "broker killed", self.broker.restart) for at in self.plan.broker_kills]
        acts += [(at, "broker flushed", self.broker.flush) for at in self.plan.flushes]
        acts += [(at, "database crashed", self.crash_database) for at in self.plan.restarts]
        # Everybody is sent or in doubt. The last doubts are read back by new workers.
        acts.append((1.0, "workers killed", self._kill))
        return sorted(acts, key=lambda act: act[0])

    def _settled(self) -> int:
        return Reclaim.objects.exclude(state__in=UNFINISHED).count()

    def _at_rest(self) -> bool:
        return not Reclaim.objects.filter(finished_at=None).exists()


@contextmanager
def raging(
    plan: Plan, *, broker: BrokerProcess, tmp_path, allow_http, settings, people, crash: Callable[[], None]
) -> Iterator[Storm]:
    """A storm that is over: everything is at rest, and nobody works any more."""
    with sandbox_process(members=plan.members, seed=plan.seed) as urls:
        allow_http(urls["api_url"])
        addresses = {"api": urls["api_url"], "authorize": urls["authorize_url"], "scim": urls["scim_url"]}
        settings.CONNECTOR_ADDRESSES = {"miro_enterprise": addresses}
        miro = SandboxControl(urls["api_url"])
        variables = {"MIRO_API_URL": urls["api_url"], "MIRO_SCIM_URL": urls["scim_url"]}
        workers = Workers(tmp_path / "workers.log", plan.workers, {**variables, **plan.variables()})
        broker.flush()
        beat = Beat(broker, every=1.0)
        try:
            profile = approved_people(plan, urls, people)
            miro.limits(on=False)
            miro.set_toggles(team_admin_deactivation="allow")
            miro.manual_changes(share=plan.by_hand, after=0.6, seed=plan.seed)
            miro.storm(seed=plan.seed, mix=plan.mix, match=plan.match, hang_seconds=plan.hang, limited_seconds=0.2)
            storm = Storm(plan, miro, profile, workers, broker, crash)
            beat.start()
            storm.rage()
            time.sleep(1.0)  # the last changes by hand
            yield storm
        finally:
            beat.stop()
            workers.end()
            broker.flush()


@pytest.fixture
def rage(real_transactions, broker_process, tmp_path, allow_http, settings, alice, bob):
    """`rage(plan, crash=...)`: a storm that is over, as a context."""
    given = {
        "broker": broker_process,
        "tmp_path": tmp_path,
        "allow_http": allow_http,
        "settings": settings,
        "people": (alice, bob),
    }
    return lambda plan, crash=restart_database: raging(plan, crash=crash, **given)


def told(storm: Storm, figures: Figures) -> None:
    """The figures for the table."""
    summary, found = storm.miro.summary(), states()
    figures.note(
        approved=storm.plan.approved,
        bystanders=summary["members"] - storm.plan.approved,
        seconds=round(storm.seconds()),
        workers_killed=storm.workers.killed,
        broker_killed=storm.done.count("broker killed"),
        flushed=storm.done.count("broker flushed"),
        database_crashes=storm.done.count("database crashed"),
        faults=sum(summary["faults"].values()),
        patches=len(summary["patches"]),
        **found,
        in_doubt_share=f"{found.get('in_doubt', 0) / storm.plan.approved:.2%}",
        reactivated_by_humans=len(summary["activated_by_human"]),
        deactivated_again=len(summary["deactivated_again_after_human"]),
        most_deactivations=summary["most_deactivations"],
        doubts_begun_by=first_words_of_doubts(),
    )


def first_words_of_doubts() -> dict[str, int]:
    """The ways in which answers of those who are left in doubt got lost -> how many."""
    left = Reclaim.objects.filter(state=ReclaimState.IN_DOUBT).values("pk")
    events = AuditEvent.objects.filter(action="reclaim.in_doubt", target_id__in=left).order_by("-sequence")
    first = dict(events.values_list("target_id", "data"))
    return dict(Counter(data["outcome"].split(".")[0] for data in first.values()))


@pytest.mark.chaos
@pytest.mark.parametrize("plan", [LONG, BY_HAND], ids=["5000", "1500-by_hand"])
def test_nobody_is_touched_twice_and_nothing_is_lost(rage, figures, plan):
    with rage(plan) as storm:
        told(storm, figures)
        assert Histories.read(storm.miro).findings(doubts=plan.doubts) == []


@pytest.mark.chaos
def test_blind_retries_deactivate_people_again(rage, figures):
    """The control: without reading first, the checker finds people whom we locked out against a human."""
    with rage(BLIND) as storm:
        told(storm, figures)
        found = Histories.read(storm.miro).findings(doubts=BLIND.doubts)
    assert any("deactivated again after a human" in finding for finding in found), found


def test_workers_that_are_killed_as_soon_as_they_start_are_gone(real_transactions, broker_process, tmp_path):
    """Else they work on in the tests that come next. Control: with a group that only the worker makes, some stay."""
    workers = Workers(tmp_path / "workers.log", 3, SHORT.variables())
    started: list[int] = []
    try:
        for _ in range(5):
            workers.start()
            started += workers.running
            workers.kill()
    finally:
        workers.end()
    until = time.monotonic() + 10
    while left := [pid for pid in started if Path(f"/proc/{pid}").exists()]:
        assert time.monotonic() < until, left
        time.sleep(0.05)
    assert len(started) == 15


def test_a_short_storm(rage, figures):
    with rage(SHORT, crash=cut_connections) as storm:
        told(storm, figures)
        assert Histories.read(storm.miro).findings(doubts=SHORT.doubts) == []
        assert Reclaim.objects.filter(state=ReclaimState.DONE).exists()


def test_a_short_storm_of_blind_retries_deactivates_people_again(rage):
    """The control of the short storm."""
    with rage(SHORT_BLIND, crash=cut_connections) as storm:
        found = Histories.read(storm.miro).findings(doubts=1.0)
    assert any("deactivated again after a human" in finding for finding in found), found
