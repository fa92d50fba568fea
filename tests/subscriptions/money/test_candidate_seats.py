"""The overview of a large profile shows the candidates of the last minute; what it shows agrees with the rows."""

from __future__ import annotations

from datetime import timedelta

import pytest
import time_machine
from django.contrib.auth.models import User
from django.utils import timezone

from licensehub.site.dashboard.savings_card import savings_card
from licensehub.ui.lists.counts import Count
from licensehub.ui.time_zones import company_day
from subscriptions import tasks
from subscriptions.approvals import decide
from subscriptions.approvals.request import request_reclaim
from subscriptions.models import CandidateSeats, RemovalCandidate
from subscriptions.money.candidate_seats import SHOWN_FOR, count_candidates
from subscriptions.money.savings import Ledger, Stage
from subscriptions.reclaims.engine import reclaim_due

STAGES = (Stage.POTENTIAL, Stage.APPROVED)


@pytest.fixture
def large(world, monkeypatch):
    """All profiles are large."""
    monkeypatch.setattr("subscriptions.eligibility.people_counts.COUNTED_LIVE", 0)
    world.first_download()
    return world


def seats(world, *, last_counts: bool) -> dict[Stage, int]:
    groups = Ledger([world.profile], company_day().year).groups(STAGES, last_counts=last_counts)
    return {stage: sum(line.cells[stage].seats for group in groups for line in group.lines) for stage in STAGES}


def rows(world) -> dict[Stage, int]:
    ledger = Ledger([world.profile], company_day().year)
    return {stage: ledger.rows(stage).count() for stage in STAGES}


def wrong_count(world) -> None:
    """A count of 4,000 seats, which are not there."""
    count_candidates(world.profile)
    CandidateSeats.objects.exclude(license="full").delete()
    CandidateSeats.objects.update(seats=4000)


def test_each_sweep_counts_what_the_acts_before_it_changed(large, alice, bob):
    world = large
    several = rows(world)[Stage.POTENTIAL]
    assert several > 3

    def shown_after_a_sweep() -> dict[Stage, int]:
        tasks.sweep()
        assert CandidateSeats.objects.exists()
        shown = seats(world, last_counts=True)
        assert shown == seats(world, last_counts=False) == rows(world)
        return shown

    assert shown_after_a_sweep() == {Stage.POTENTIAL: several, Stage.APPROVED: 0}
    asked = request_reclaim(world.candidates(3), actor=alice)
    assert shown_after_a_sweep() == {Stage.POTENTIAL: several, Stage.APPROVED: 0}
    decide.approve(asked, actor=bob)
    # The control: until the next sweep, the count is that of the minute before.
    assert seats(world, last_counts=True) == {Stage.POTENTIAL: several, Stage.APPROVED: 0} != rows(world)
    assert shown_after_a_sweep() == {Stage.POTENTIAL: several - 3, Stage.APPROVED: 3}
    assert reclaim_due(world.profile).reclaimed == 3
    assert shown_after_a_sweep() == {Stage.POTENTIAL: several - 3, Stage.APPROVED: 0}


def test_the_card_shows_the_last_count_only_where_people_are_counted_so(large):
    world = large
    admin = User.objects.create_superuser("boss", "boss@northwind.example", "a long password of boss")
    wrong_count(world)

    def potential(last_counts: bool) -> str:
        card = savings_card(world.profile, admin, last_counts=last_counts, attention=Count(0))
        assert card is not None
        return str(card["steps"][0]["amount"])

    assert potential(last_counts=True) == "4,000"
    assert potential(last_counts=False) == str(rows(world)[Stage.POTENTIAL])


def test_without_a_sweep_the_rows_are_counted(large):
    """A sweep that has stopped, or a profile that is not large any more: no page shows an old count for long."""
    world = large
    wrong_count(world)
    with time_machine.travel(timezone.now() + SHOWN_FOR - timedelta(seconds=20)):
        assert seats(world, last_counts=True)[Stage.POTENTIAL] == 4000
    CandidateSeats.objects.update(counted_at=timezone.now() - SHOWN_FOR - timedelta(seconds=20))
    assert seats(world, last_counts=True) == rows(world)


def test_the_newest_of_two_counts_is_read(large):
    """Two processes counted at the same time, and neither saw the rows of the other."""
    world = large
    count_candidates(world.profile)
    for row in CandidateSeats.objects.all():
        row.pk, row.seats, row.counted_at = None, 4000, row.counted_at - timedelta(seconds=1)
        row.save()
    assert seats(world, last_counts=True) == rows(world)


def test_nobody_is_left(large):
    world = large
    count_candidates(world.profile)
    RemovalCandidate.objects.update(state="closed_skipped")
    count_candidates(world.profile)
    assert not CandidateSeats.objects.exists()
    assert seats(world, last_counts=True) == {Stage.POTENTIAL: 0, Stage.APPROVED: 0}
