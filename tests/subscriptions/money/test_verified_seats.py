"""The counted days agree with the rows after every kind of action, and a wrong count is corrected by the next one."""

from __future__ import annotations

from collections import defaultdict
from datetime import date, timedelta
from decimal import Decimal

import pytest
import time_machine
from django.utils import timezone

from licensehub.ui.time_zones import company_day, company_midnight
from subscriptions import tasks
from subscriptions.approvals import decide
from subscriptions.approvals.leaving import SEND_BACK
from subscriptions.approvals.request import request_reclaim
from subscriptions.models import Per, Reclaim, VerifiedSeats
from subscriptions.money.prices import PriceInput, enter_price, withdraw_price
from subscriptions.money.savings import Ledger, Stage, years_with_savings
from subscriptions.money.verified_seats import count_verified
from subscriptions.reclaims import restores
from subscriptions.reclaims.engine import reclaim_due
from tests.support.people.restoring import id_of, reclaimed

DAY = timedelta(days=1)


def shown(world) -> dict[tuple[int, str, str], tuple[int, Decimal]]:
    """(year, license, currency) -> seats and amount, as pages show them. They agree with the rows."""
    counted: dict[tuple[int, str, str], tuple[int, Decimal]] = {}
    rows: dict[tuple[int, str, str], tuple[int, Decimal]] = defaultdict(lambda: (0, Decimal(0)))
    for year in years_with_savings([world.profile]):
        ledger = Ledger([world.profile], year)
        for group in ledger.groups([Stage.VERIFIED]):
            for line in group.lines:
                cell = line.cells[Stage.VERIFIED]
                counted[year, line.license, group.currency] = (cell.seats, cell.amount)
        for row in ledger.rows(Stage.VERIFIED):
            price = ledger.prices.by_id.get(row.price)
            key = (year, row.license, price.currency if price else "")
            seats, amount = rows[key]
            rows[key] = (seats + 1, amount + (price.yearly if price else 0))
    assert counted == dict(rows)
    return counted


def seats(world) -> int:
    return sum(count for count, _ in shown(world).values())


@pytest.fixture
def counted(world, alice, bob):
    """Six verified reclaims, three of them on days that have ended, at the edges of a day and of a price."""
    items = reclaimed(world, alice, bob, 6)
    today = company_midnight(company_day())
    for item, moment in zip(items, (today - 40 * DAY, today - timedelta(microseconds=1), today - DAY), strict=False):
        Reclaim.objects.filter(pk=item.pk).update(finished_at=moment)
    enter_price(world.profile, price("240", company_day() - 60 * DAY), actor=alice)
    enter_price(world.profile, price("300", company_day() - DAY), actor=alice)
    with time_machine.travel(today + timedelta(hours=2)):
        assert count_verified(world.profile) == 3
    return world


def price(amount: str, since: date) -> PriceInput:
    return PriceInput("full", Decimal(amount), "USD", Per.YEAR, since)


def test_no_act_makes_the_counts_wrong(counted, alice, bob, carol):
    world = counted
    assert seats(world) == 6
    items = list(Reclaim.objects.order_by("finished_at"))
    withdraw_price(enter_price(world.profile, price("1", company_day()), actor=alice), reason="Typing", actor=alice)
    assert seats(world) == 6
    # The higher price began the day before, so two of the counted seats have it.
    assert sum(amount for _, amount in shown(world).values()) == 240 + 5 * 300

    for item in (items[0], items[-1]):
        restores.restore(item, actor=alice, reason="Back from leave")
    assert reclaim_due(world.profile).restored == 2
    assert seats(world) == 6
    world.miro.change(id_of(items[1]), active=True)
    world.download()
    assert seats(world) == 6

    rejected = request_reclaim(world.candidates(2), actor=alice)
    decide.reject(rejected, actor=bob, comment="Not now", keep=SEND_BACK)
    decide.approve(request_reclaim(world.candidates(2), actor=alice), actor=bob)
    assert seats(world) == 6
    assert reclaim_due(world.profile).reclaimed == 2
    assert seats(world) == 8

    # A day ends, and nothing is counted. Then it is counted, with the day before.
    with time_machine.travel(company_midnight(company_day() + DAY) + timedelta(hours=2)):
        assert seats(world) == 8
        assert count_verified(world.profile) == 8
        assert seats(world) == 8
        enter_price(world.profile, price("500", company_day()), actor=carol)
        assert seats(world) == 8


@pytest.mark.parametrize("heal", ["the nightly task", "a download"])
def test_a_wrong_count_is_used_and_heals(counted, heal):
    world = counted
    VerifiedSeats.objects.filter(seats=1).update(seats=40)
    with pytest.raises(AssertionError):
        shown(world)  # the pages read the counts
    now = company_midnight(company_day()) + timedelta(hours=2)
    with time_machine.travel(max(now, timezone.now())):
        tasks.thin_history() if heal == "the nightly task" else world.download()
    assert seats(world) == 6


def test_a_day_that_may_still_be_written_is_not_counted(counted):
    """In the first hour after midnight, the former day may still get a row."""
    world = counted
    midnight = company_midnight(company_day())
    with time_machine.travel(midnight + timedelta(minutes=59)):
        assert count_verified(world.profile) == 1
        Reclaim.objects.filter(pk=Reclaim.objects.latest("finished_at").pk).update(
            finished_at=midnight - timedelta(seconds=1)
        )
        assert seats(world) == 6
