"""Compare the counts of people who would have come back with a simulated history in plain Python."""

from __future__ import annotations

import random
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import time_machine

from integrations.connectors.contract import Member
from integrations.models import IntegrationProfile
from subscriptions.eligibility.past_counts import DAYS_AGO, Past, count_past, history_of
from subscriptions.eligibility.terms import Terms
from subscriptions.models import (
    DownloadRun,
    NeverActive,
    Protection,
    ProtectionKind,
    Reclaim,
    ReclaimRequest,
    RemovalCandidate,
    RequestedRemoval,
    Subscription,
)
from subscriptions.profiles import lifecycle
from subscriptions.reclaims import recheck
from tests.support.data.scenario import download
from tests.support.data.subscription_rows import terms_with

pytestmark = pytest.mark.django_db

NOW = datetime(2026, 11, 28, 9, tzinfo=UTC)
DAY = timedelta(days=1)


def ago(days: float) -> datetime:
    return NOW - days * DAY


def person(number: int, *, active: float | None, assigned: float | None = 400, **facts: Any) -> Member:
    """`active` and `assigned` are days before NOW."""
    values: dict[str, Any] = {
        "email": f"person{number}@northwind.example",
        "active": True,
        "license": "full",
        "role": "organization_internal_user",
        "reclaimable": True,
        "why_not": "",
        **facts,
    }
    return Member(
        external_id=str(3074457340000000000 + number),
        license_assigned_at=None if assigned is None else ago(assigned),
        last_activity_at=None if active is None else ago(active),
        **values,
    )


@pytest.fixture
def empty() -> IntegrationProfile:
    return lifecycle.create_profile(name="Past", organization_id="3074457345", kind="miro_enterprise", actor=None)


def found(profile: IntegrationProfile, terms: Terms) -> dict[int, Past]:
    with time_machine.travel(NOW, tick=False):
        count_past(profile)
        return {past.days: past for past in history_of(profile, terms).past}


# --- A simulated history ----------------------------------------------------------------------------------------------


@dataclass
class Simulated:
    """The history of each person: a pair (moment, member) for each download."""

    profile: IntegrationProfile
    told: dict[str, list[tuple[datetime, Member]]]
    runs: list[datetime]

    def expected(self, terms: Terms, days: int) -> tuple[int, int] | None:
        """(people, came back), computed from the definition, without a database."""
        before = [moment for moment in self.runs if moment <= ago(days)]
        if not before:
            return None
        then, people, back = before[-1], 0, 0
        for told in self.told.values():
            at, facts = max((row for row in told if row[0] <= then), key=lambda row: row[0], default=(None, None))
            if facts is None or at != then:
                continue  # the download did not know the person
            dates = [member.last_activity_at for _, member in told if member.last_activity_at]
            last = max((moment for moment in dates if moment <= then), default=None)
            if self._would_be_reclaimed(terms, facts, last, then):
                people += 1
                back += any(moment > then for moment in dates)
        return people, back

    @staticmethod
    def _would_be_reclaimed(terms: Terms, facts: Member, last: datetime | None, then: datetime) -> bool:
        assigned = facts.license_assigned_at
        idle_since = last or assigned
        return bool(
            facts.active
            and facts.license in terms.licenses
            and idle_since
            and (last or terms.never_active == NeverActive.CANDIDATE)
            and not (assigned and assigned > then - terms.grace * DAY)
            and idle_since < then - terms.threshold_for(facts.license) * DAY
        )


def simulate(profile: IntegrationProfile, seed: int) -> Simulated:
    """Simulate 150 days with a download every few days. The vendor shows an activity up to three days late.

    People work, pause, change their license, are deactivated, and leave.
    """
    dice = random.Random(seed)  # noqa: S311 - made-up people
    people: dict[int, list[Any]] = {}
    for number in range(60):
        pauses = [dice.choice([0.5, 2, 8, 20, 45, 70, 130]) for _ in range(80)]
        acts, day = [], 260.0
        for pause in pauses:
            day -= pause
            acts.append(day + dice.random() / 3)
        joined = dice.choice([260, 260, 260, 100, 70, 40])
        start = person(
            number, active=None, assigned=joined + dice.choice([0, 1, 40]), license=dice.choice(["full", "free"])
        )
        people[number] = [joined, start, [] if dice.random() < 0.15 else [act for act in acts if act < joined]]
    told: dict[str, list[tuple[datetime, Member]]] = {}
    runs, day = [], dice.choice([150.0, 85.0])
    while day > 0:
        moment = ago(day)
        for entry in people.values():
            if dice.random() < 0.02:
                entry[1] = entry[1]._replace(license=dice.choice(["full", "free", "advanced"]))
            if dice.random() < 0.01:
                entry[1] = entry[1]._replace(active=not entry[1].active, license_assigned_at=ago(day + 3))
            if dice.random() < 0.002:
                entry[0] = -1  # leaves for good
        members = []
        for joined, facts, acts in people.values():
            late = dice.choice([0, 0, 0, 1, 3])
            seen = [ago(act) for act in acts if act > day + late]
            before = told.get(facts.external_id, [])
            latest = max(
                [*seen, *(member.last_activity_at for _, member in before if member.last_activity_at)], default=None
            )
            if joined > day:
                members.append(facts._replace(last_activity_at=latest))
        download(profile, members, at=moment)
        for member in members:
            told.setdefault(member.external_id, []).append((moment, member))
        runs.append(moment)
        day -= dice.choice([1, 3, 5])
    return Simulated(profile, told, runs)


@pytest.mark.parametrize("seed", [3, 4])
def test_the_rollup_is_what_plain_python_counts(empty, seed):
    story, dice = simulate(empty, seed), random.Random(seed)  # noqa: S311 - made-up people
    came_back = 0
    for _ in range(12):
        terms = terms_with(
            threshold=dice.randrange(1, 100),
            licenses=tuple(dice.sample(["full", "free", "advanced"], dice.randrange(1, 4))),
            grace=dice.choice([0, 1, 30, 90]),
            never_active=dice.choice(NeverActive.values),
            by_license={"free": dice.randrange(1, 100)} if dice.random() < 0.5 else {},
        )
        past = found(empty, terms)
        for days in DAYS_AGO:
            expected = story.expected(terms, days)
            got = past.get(days)
            assert (got and (got.people, got.came_back)) == expected, (terms, days)
            came_back += expected[1] if expected else 0
    assert came_back > 50  # the simulation contains such people


# --- People with a history of their own -------------------------------------------------------------------------------


def taken(row: Subscription, admin, *, at: datetime, back_at: datetime | None = None) -> None:
    """A verified reclaim of this person."""
    same = {"profile": row.profile}
    evidence = {"license": row.license}
    candidate = RemovalCandidate.objects.create(
        **same, subscription=row, run=row.first_run, state="closed_complete", evidence=evidence
    )
    request = ReclaimRequest.objects.create(**same, requested_by=admin, reason="Unused", expires_at=at, cap=50)
    removal = RequestedRemoval.objects.create(request=request, candidate=candidate, evidence=evidence)
    Reclaim.objects.create(
        **same, subscription=row, removal=removal, state="done", queued_at=at, finished_at=at, back_at=back_at
    )


def test_what_became_of_each_person_decides(empty, admin_user):
    """All people are idle for 200 days when the download of 61 days ago is complete. Later they differ."""
    names = "stayed away, active, protected, ended, reclaimed, back, active first, left, elsewhere, again, admin, last"
    names += ", sole, role"
    number = {name: n for n, name in enumerate(names.split(", "))}
    people = {name: person(n, active=261) for name, n in number.items()}
    people["admin"] = people["admin"]._replace(admin_roles=("User Admin",))
    people["last"] = people["last"]._replace(reclaimable=False, why_not="The owner.")
    people["role"] = people["role"]._replace(role="")
    download(empty, list(people.values()), at=ago(61))
    protect = {"kind": ProtectionKind.PERSON, "reason": "Leave", "owner": "Ines", "created_by": admin_user}
    for name, ended in (("protected", 5), ("ended", 62)):
        Protection.objects.create(
            profile=empty, external_id=people[name].external_id, created_at=ago(80), ended_at=ago(ended), **protect
        )
    Protection.objects.create(profile=empty, external_id=people["active"].external_id, created_at=ago(9), **protect)

    people["active"] = people["active"]._replace(last_activity_at=ago(20))
    people["active first"] = people["active first"]._replace(last_activity_at=ago(30), active=False)
    for name in ("reclaimed", "back", "elsewhere"):
        people[name] = people[name]._replace(active=False)
    del people["left"], people["again"]
    again = person(99, active=3, email="person9@northwind.example")
    download(empty, [*people.values(), again], at=ago(1))
    rows = {row.external_id: row for row in Subscription.objects.select_related("profile", "first_run")}

    def of(name: str) -> Subscription:
        return rows[str(3074457340000000000 + number[name])]

    Subscription.objects.filter(external_id=again.external_id).update(former=of("again"))
    Subscription.objects.filter(pk=of("sole").pk).update(sole_admin_of="Sales")
    taken(of("reclaimed"), admin_user, at=ago(40))
    taken(of("active first"), admin_user, at=ago(10))
    taken(of("back"), admin_user, at=ago(40), back_at=ago(35))

    past = found(empty, terms_with(threshold=60, licenses=("full",)))
    # Counted: stayed away, active, ended, back, active first, left, elsewhere, again. Counted apart: reclaimed.
    # Not counted: protected (then), admin (a review), last and sole (the vendor refuses), role (unknown), and the new
    # row of "again".
    assert past == {60: Past(60, ago(61), 8, 4, 1)} | {30: replace(past[60], days=30)}
    assert past[60].percent == 50
    with time_machine.travel(NOW, tick=False):
        known = history_of(empty, terms_with(threshold=60, licenses=("full",)))
        assert (known.since, known.runs) == (ago(61), 2)
        assert history_of(empty, terms_with(threshold=60, licenses=("full",), grace=91)).past == ()


def test_a_look_between_two_downloads_counts_and_each_profile_for_itself(empty):
    """At 61 days ago the license was in scope. A look, and not a download, found another one since."""
    download(empty, [person(1, active=261)], at=ago(61))
    with time_machine.travel(ago(40), tick=False):
        recheck.write_facts(empty, [person(1, active=261, license="free")])
    terms = terms_with(threshold=60, licenses=("full",))
    expected = Past(60, ago(61), 1, 0, 0)
    assert found(empty, terms)[60] == expected
    other = lifecycle.create_profile(name="Other", organization_id="43", kind="miro_enterprise", actor=None)
    assert found(other, terms) == {}
    with time_machine.travel(NOW, tick=False):
        assert history_of(empty, terms).past[1] == expected
        # What is thinned is not exact any more.
        DownloadRun.objects.update(thinned=True)
        assert {past.days for past in history_of(empty, terms).past} == {30, 60}, "until it is counted again"
    assert found(empty, terms) == {}


def test_nothing_is_known_before_the_first_download(empty):
    with time_machine.travel(NOW, tick=False):
        assert history_of(empty, terms_with()).since is None
    download(empty, [person(1, active=300)], at=ago(29))
    assert found(empty, terms_with()) == {}
