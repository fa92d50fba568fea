"""Made-up histories: runs and looks between them, and beside them, in plain Python, what was known at each moment."""

from __future__ import annotations

import random
from copy import deepcopy
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import count

import time_machine
from django.db import transaction
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st

from integrations.connectors.contract import Member
from integrations.models import IntegrationProfile
from subscriptions.activity.snapshots import Seat, as_of
from subscriptions.downloads.facts import staging
from subscriptions.downloads.run import write_facts
from subscriptions.models import DownloadRun, RunState
from subscriptions.profiles import lifecycle
from subscriptions.reclaims import recheck

# (whether it is a run, else a look; days since the last step)
STEPS = st.lists(st.tuples(st.sampled_from([True, True, False]), st.floats(0.1, 25)), min_size=2, max_size=9)
QUICK = settings(
    max_examples=25,
    # To shrink what failed takes minutes of the controls, which are to fail.
    phases=[Phase.generate],
    database=None,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)

BEGIN = datetime(2025, 1, 30, 22, tzinfo=UTC)
LICENSES = ("full", "advanced", "free")
ROLES = ("organization_internal_user", "organization_internal_admin")
_numbers = count(1)


@dataclass
class Scenario:
    """`known` is what LicenseHub has been told of each member (id -> Seat); `told` keeps it for each moment."""

    chance: random.Random
    profile: IntegrationProfile
    now: datetime = BEGIN
    members: dict[str, Member] = field(default_factory=dict)
    known: dict[str, Seat] = field(default_factory=dict)
    told: dict[datetime, dict[str, Seat]] = field(default_factory=dict)

    @classmethod
    def begin(cls, seed: int) -> Scenario:
        number = next(_numbers)
        profile = lifecycle.create_profile(
            name=f"Story {number}", organization_id=f"30744573458{number:08}", kind="miro_enterprise", actor=None
        )
        scenario = cls(random.Random(seed), profile)  # noqa: S311 - made-up people
        for _ in range(4):
            scenario._join()
        return scenario

    def go_on(self, days: float) -> None:
        self.now += timedelta(days=days)

    def run(self) -> None:
        """A download: who is not in it any more has left."""
        self._live()
        download(self.profile, list(self.members.values()), at=self.now)
        for seat in self.known.values():
            if seat.external_id not in self.members:
                self.known[seat.external_id] = _seat(seat, gone=True)
        for member in self.members.values():
            self.known[member.external_id] = _seat(member, before=self.known.get(member.external_id))
        self.told[self.now] = deepcopy(self.known)

    def look(self) -> None:
        """Somebody is looked at between two runs, as before a send."""
        self._live()
        there = [member for member in self.members.values() if member.external_id in self.known]
        seen = self.chance.sample(there, min(2, len(there)))
        with time_machine.travel(self.now, tick=False):
            recheck.write_facts(self.profile, seen)
        for member in seen:
            before = self.known[member.external_id]
            self.known[member.external_id] = _seat(member, gone=before.gone, before=before)
        self.told[self.now] = deepcopy(self.known)

    def read_back(self, moment: datetime) -> dict[str, Seat]:
        return {seat.external_id: seat for seat in as_of(self.profile, moment)}

    def _live(self) -> None:
        for member in list(self.members.values()):
            if self.chance.random() < 0.6:
                self.members[member.external_id] = self._member(member.external_id)
        if self.chance.random() < 0.3:
            self._join()
        if len(self.members) > 2 and self.chance.random() < 0.3:
            del self.members[self.chance.choice(list(self.members))]
        left = [external_id for external_id in self.known if external_id not in self.members]
        if left and self.chance.random() < 0.4:
            self.members[left[0]] = self._member(left[0])

    def _join(self) -> None:
        external_id = str(3074457345000000000 + next(_numbers))
        self.members[external_id] = self._member(external_id)

    def _member(self, external_id: str) -> Member:
        return Member(
            external_id=external_id,
            email=f"{external_id}@northwind.example",
            active=self.chance.random() < 0.8,
            license=self.chance.choice(LICENSES),
            role=self.chance.choice(ROLES),
            license_assigned_at=self._moment(),
            last_activity_at=self._moment(),
            reclaimable=True,
            why_not="",
        )

    def _moment(self) -> datetime | None:
        """Few different ones: going back to a former value is what history easily gets wrong."""
        return self.chance.choice([None, *(BEGIN - timedelta(days=days) for days in (1, 2, 3))])


def download(profile: IntegrationProfile, members: list[Member], *, at: datetime) -> DownloadRun:
    """A complete download of these members, which ended at this moment."""
    begun = at - timedelta(minutes=1)
    run = DownloadRun.objects.create(
        profile=profile, started_by="command", started_at=begun, lease_until=at, read=len(members)
    )
    with transaction.atomic():
        staging.store(run, members)
        write_facts(run, now=at)
        DownloadRun.objects.filter(pk=run.pk).update(state=RunState.COMPLETE, finished_at=at)
    return run


def _seat(facts: Member | Seat, *, gone: bool = False, before: Seat | None = None) -> Seat:
    """The seat with the latest known activity, which counts."""
    moments = [facts.last_activity_at, before.last_activity_at if before else None]
    return Seat(
        external_id=facts.external_id,
        email=facts.email,
        last_activity_at=max(filter(None, moments), default=None),
        license_assigned_at=facts.license_assigned_at,
        license=facts.license,
        role=facts.role,
        active=facts.active,
        gone=gone,
    )


def tell(seed: int, steps: list[tuple[bool, float]]) -> Scenario:
    scenario = Scenario.begin(seed)
    scenario.run()
    for is_run, days in steps:
        scenario.go_on(days)
        scenario.run() if is_run else scenario.look()
    return scenario
