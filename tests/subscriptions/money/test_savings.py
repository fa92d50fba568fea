"""The ledger of the savings against what really happened at the vendor: each number is the sum of its rows."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

import pytest
from django.utils import timezone

from licensehub.ui.time_zones import company_midnight
from subscriptions.activity.returns import note_returns, note_taken_again
from subscriptions.approvals import decide
from subscriptions.approvals.request import request_reclaim
from subscriptions.models import Per, Reclaim, ReclaimRule, ReclaimState, RemovalCandidate, Subscription
from subscriptions.money.prices import PriceInput, enter_price
from subscriptions.money.savings import STAGES, Cell, Ledger, Stage, years_with_savings
from subscriptions.money.verified_seats import count_verified
from subscriptions.reclaims import holds, restores
from subscriptions.reclaims.engine import reclaim_due
from subscriptions.rules.protections import ProtectionInput, protect_people
from subscriptions.sweep import read_back_doubts
from tests.support.people.restoring import id_of

D = Decimal


@pytest.fixture
def priced(world, alice):
    world.first_download()
    begin = timezone.localdate() - timedelta(days=400)
    for license, amount in (("full", "240"), ("free_restricted", "0")):
        enter_price(world.profile, PriceInput(license, D(amount), "USD", Per.YEAR, begin), actor=alice)
    return world


def seats(world, year: int | None = None) -> dict[str, int]:
    """The seats of each stage. On the way it holds each number against its rows, and the parts against the whole."""
    ledger = Ledger([world.profile], year or timezone.localdate().year)
    groups = ledger.groups()
    found = {stage.value: 0 for stage in STAGES}
    for group in groups:
        for line in group.lines:
            for stage, cell in line.cells.items():
                rows = ledger.chosen_rows(
                    stage, currency=group.currency, profile_id=line.profile.pk, license=line.license
                )
                prices = [ledger.prices.by_id.get(row.price) for row in rows]
                assert len(prices) == cell.seats
                assert sum((price.yearly if price else D(0) for price in prices), D(0)) == cell.amount
                found[stage.value] += cell.seats
        for parts in (ledger.by_month(group.currency), ledger.by_department(group.currency)):
            for stage in (Stage.VERIFIED, Stage.AGAIN):
                counted = [part[stage.value] for part in parts]
                summed = sum(count.seats if isinstance(count, Cell) else count for count in counted)
                assert summed == sum(line.cells[stage].seats for line in group.lines)
        assert group.saved.amount == sum((line.saved.amount for line in group.lines), D(0))
        by_department = sum((part["saved"].amount for part in ledger.by_department(group.currency)), D(0))
        assert by_department == group.saved.amount
    found["saved"] = found["verified"] - found["again"]
    return found


def test_a_seat_goes_from_potential_to_saved(priced, alice, bob):
    world = priced
    ready = seats(world)["potential"]
    assert ready == RemovalCandidate.objects.open().count() > 5

    asked = request_reclaim(world.candidates(4), actor=alice)
    assert seats(world) == {"potential": ready, "approved": 0, "verified": 0, "again": 0, "saved": 0}
    decide.approve(asked, actor=bob)
    assert seats(world) == {"potential": ready - 4, "approved": 4, "verified": 0, "again": 0, "saved": 0}
    assert reclaim_due(world.profile).reclaimed == 4
    assert seats(world) == {"potential": ready - 4, "approved": 0, "verified": 4, "again": 0, "saved": 4}
    assert len(world.deactivated_by_us()) == 4

    # Whoever is protected is no potential. A download that finds nothing new changes nothing.
    left = RemovalCandidate.objects.filter(state="ready").first()
    protect_people(world.profile, [left.subscription], ProtectionInput("On leave", "Petra", None), actor=alice)
    world.download()
    assert seats(world) == {"potential": ready - 5, "approved": 0, "verified": 4, "again": 0, "saved": 4}
    group = Ledger([world.profile], timezone.localdate().year).groups()[0]
    assert (group.currency, group.saved.amount) == ("USD", D(4 * 240))


def test_a_seat_that_is_held_again_is_subtracted_in_its_month(priced, alice, bob):
    """A restore counts, and an admin at the vendor; after 90 days only if the seat is reclaimed once more."""
    world = priced
    decide.approve(request_reclaim(world.candidates(5), actor=alice), actor=bob)
    assert reclaim_due(world.profile).reclaimed == 5
    restored, by_hand, late, gone, kept = Reclaim.objects.order_by("pk")

    restores.restore(restored, actor=alice, reason="Back from parental leave")
    assert reclaim_due(world.profile).restored == 1
    assert seats(world)["again"] == 1
    world.sandbox.world.change_by_hand(id_of(by_hand), {"active": True})
    world.sandbox.world.change_by_hand(id_of(gone), {"removed": True})
    Reclaim.objects.filter(pk=late.pk).update(finished_at=timezone.now() - timedelta(days=120))
    world.sandbox.world.change_by_hand(id_of(late), {"active": True})
    count_verified(world.profile)
    assert seats(world, year=(timezone.now() - timedelta(days=120)).year)["verified"] >= 1
    world.download()

    for row in (restored, by_hand, late, gone, kept):
        row.refresh_from_db()
    assert [row.bought_again for row in (restored, by_hand, late, gone, kept)] == [True, True, False, False, False]
    assert [row.back_at is not None for row in (restored, by_hand, late, gone, kept)] == [True] * 3 + [False] * 2
    assert world.inactive() >= {id_of(kept)} and not world.inactive() & {id_of(restored), id_of(by_hand), id_of(late)}
    world.download()
    assert seats(world)["again"] == 2

    # Reclaimed once more: one seat is saved, not two.
    Subscription.objects.filter(pk=late.subscription_id).update(cooldown_until=None)
    world.download()
    again = RemovalCandidate.objects.filter(subscription=late.subscription_id, state="ready")
    decide.approve(request_reclaim(again, actor=alice), actor=bob)
    assert reclaim_due(world.profile).reclaimed == 1
    late.refresh_from_db()
    assert late.bought_again
    # A reclaim of more than a year ago has saved for a whole year, and that year's amount stays.
    Reclaim.objects.filter(pk=late.pk).update(bought_again=False, finished_at=timezone.now() - timedelta(days=366))
    note_taken_again(
        Reclaim.objects.get(removal__request__decided_by=bob, subscription=late.subscription_id, pk__gt=late.pk)
    )
    late.refresh_from_db()
    assert not late.bought_again
    held = {row.subscription_id for row in Reclaim.objects.filter(state=ReclaimState.DONE, bought_again=False)}
    assert id_of(late) in world.inactive() and late.subscription_id in held


def test_what_is_not_verified_saves_nothing(priced, alice, bob, monkeypatch):
    """The answer was lost, and reading back fails. Then it is read back after all, and the seat counts."""
    world = priced
    monkeypatch.setattr(holds, "validate_connections", lambda profile, actor: [])
    world.miro.fault("error_after", match={"method": "PATCH"})
    world.miro.fault("error_before", match={"method": "GET", "path": "/Users/"}, times=-1)
    decide.approve(request_reclaim(world.candidates(1), actor=alice), actor=bob)
    reclaim_due(world.profile)
    assert Reclaim.objects.get().state == ReclaimState.IN_DOUBT and len(world.deactivated_by_us()) == 1
    assert seats(world)["verified"] == seats(world)["saved"] == 0

    world.miro.clear_faults()
    Reclaim.objects.update(not_before=None)
    read_back_doubts(world.profile)
    assert Reclaim.objects.get().state == ReclaimState.DONE
    assert seats(world)["saved"] == 1


def test_each_seat_has_the_price_of_its_day_and_free_ones_count_nothing(priced, alice, bob):
    world = priced
    decide.approve(request_reclaim(world.candidates(4), actor=alice), actor=bob)
    assert reclaim_due(world.profile).reclaimed == 4
    old, unpriced, free, new = Reclaim.objects.order_by("pk")
    this = timezone.localdate().year
    for row, days in ((old, 2), (unpriced, 500)):
        Reclaim.objects.filter(pk=row.pk).update(finished_at=timezone.now() - timedelta(days=days))
    Reclaim.objects.filter(pk=free.pk).update(license="free_restricted")
    today = timezone.localdate()
    enter_price(world.profile, PriceInput("full", D("300"), "USD", Per.YEAR, today), actor=alice)
    tomorrow = today + timedelta(days=1)
    enter_price(world.profile, PriceInput("full", D("999"), "EUR", Per.YEAR, tomorrow), actor=alice)
    count_verified(world.profile)

    counted = seats(world)

    in_year = [row for row in (old, new) if (today - timedelta(days=2)).year == this or row is new]
    assert counted["verified"] == len(in_year)
    group = Ledger([world.profile], this).groups()[0]
    assert group.currency == "USD"
    verified = group.lines[0].cells[Stage.VERIFIED]
    assert verified.amount == sum(240 if row is old else 300 for row in in_year)
    assert group.lines[0].price.amount == D(300)
    # Before the first price, the seat counts without an amount.
    long_ago = timezone.localtime() - timedelta(days=500)
    if long_ago.year != this:
        groups = Ledger([world.profile], long_ago.year).groups()
        lines = [line for group in groups for line in group.lines if not group.currency]
        assert sum(line.cells[Stage.VERIFIED].seats for line in lines) == 1
        assert years_with_savings([world.profile])[-1] == long_ago.year


def test_back_on_a_license_that_costs_nothing_is_not_bought_again(priced, alice, bob):
    world = priced
    decide.approve(request_reclaim(world.candidates(1), actor=alice), actor=bob)
    assert reclaim_due(world.profile).reclaimed == 1
    item = Reclaim.objects.get()
    world.sandbox.world.change_by_hand(id_of(item), {"active": True, "license": "free_restricted"})
    world.download()
    item.refresh_from_db()
    assert (item.back_at, item.back_license, item.bought_again) == (None, "", False)
    assert seats(world)["saved"] == 1
    # A paid license makes it a seat again.
    world.sandbox.world.change_by_hand(id_of(item), {"license": "full"})
    world.download()
    item.refresh_from_db()
    assert (item.back_license, item.bought_again) == ("full", True)
    assert seats(world)["saved"] == 0


def test_the_months_are_those_of_the_company(priced, alice, bob, settings):
    settings.TIME_ZONE = "Pacific/Auckland"
    world = priced
    with timezone.override("Pacific/Auckland"):
        decide.approve(request_reclaim(world.candidates(1), actor=alice), actor=bob)
        reclaim_due(world.profile)
        year = timezone.localdate().year
        moment = timezone.make_aware(timezone.datetime(year, 1, 1, 0, 30))
        Reclaim.objects.update(finished_at=moment)
        ledger = Ledger([world.profile], year)
        january = ledger.by_month("USD")[0]
        assert (january["month"], january["verified"]) == (date(year, 1, 1), 1)


def test_every_reader_sees_the_same_months_and_prices(priced, alice, bob, settings):
    """Amounts follow the company's days, and not the time zone of the reader."""
    settings.TIME_ZONE = "Pacific/Auckland"
    world = priced
    decide.approve(request_reclaim(world.candidates(1), actor=alice), actor=bob)
    reclaim_due(world.profile)
    midnight = datetime(2026, 6, 1, tzinfo=ZoneInfo("Pacific/Auckland"))
    Reclaim.objects.update(finished_at=midnight)
    new = enter_price(world.profile, PriceInput("full", D("300"), "USD", Per.YEAR, date(2026, 6, 1)), actor=alice)
    for reader in ("America/Los_Angeles", "UTC", "Pacific/Auckland"):
        with timezone.override(reader):
            ledger = Ledger([world.profile], 2026)
            assert [month["verified"] for month in ledger.by_month("USD")] == [0, 0, 0, 0, 0, 1] + [0] * 6
            [row] = ledger.rows(Stage.VERIFIED)
            assert row.price == new.pk


def test_each_currency_has_its_own_rows_months_and_departments(priced, alice, bob):
    world = priced
    decide.approve(request_reclaim(world.candidates(3), actor=alice), actor=bob)
    assert reclaim_due(world.profile).reclaimed == 3
    today = timezone.localdate()
    Reclaim.objects.filter(pk=Reclaim.objects.order_by("pk").first().pk).update(license="occasional")
    enter_price(world.profile, PriceInput("occasional", D("100"), "EUR", Per.YEAR, today), actor=alice)

    seats(world)

    ledger = Ledger([world.profile], today.year)
    found = {code: sum(month["verified"] for month in ledger.by_month(code)) for code in ("EUR", "USD")}
    assert found == {"EUR": 1, "USD": 2}
    assert {code: ledger.sum_of(ledger.chosen_rows(Stage.VERIFIED, currency=code)).amount for code in found} == {
        "EUR": D(100),
        "USD": D(480),
    }


def test_a_saving_has_the_license_that_was_approved(priced, alice, bob):
    """Also if somebody changes the candidate in the database."""
    world = priced
    decide.approve(request_reclaim(world.candidates(1), actor=alice), actor=bob)
    candidate = RemovalCandidate.objects.get(removals__reclaim__isnull=False)
    RemovalCandidate.objects.filter(pk=candidate.pk).update(evidence={**candidate.evidence, "license": "occasional"})
    assert reclaim_due(world.profile).reclaimed == 1
    [group] = Ledger([world.profile], timezone.localdate().year).groups([Stage.VERIFIED])
    assert [line.license for line in group.lines] == ["full"]


def test_the_price_beside_a_saving_has_its_currency(priced, alice, bob):
    """The license costs another currency since: its amount beside dollars would be wrong."""
    world = priced
    decide.approve(request_reclaim(world.candidates(1), actor=alice), actor=bob)
    assert reclaim_due(world.profile).reclaimed == 1
    before = timezone.localtime() - timedelta(days=2)
    Reclaim.objects.update(finished_at=before)
    enter_price(world.profile, PriceInput("full", D("999"), "EUR", Per.YEAR, timezone.localdate()), actor=alice)
    count_verified(world.profile)
    [group] = Ledger([world.profile], before.year).groups([Stage.VERIFIED])
    assert [(line.currency, line.price.currency, line.price.amount) for line in group.lines] == [("USD", "USD", 240)]


def test_who_is_back_within_90_days_had_the_seat_bought_again(priced, alice, bob):
    """To the second. A license that nobody pays for is a seat only where it was the one that was taken."""
    world = priced
    decide.approve(request_reclaim(world.candidates(5), actor=alice), actor=bob)
    assert reclaim_due(world.profile).reclaimed == 5
    inside, outside, lately, same, other = Reclaim.objects.order_by("pk")
    now = timezone.now()
    for row, ago in (
        (inside, timedelta(days=90)),
        (outside, timedelta(days=90, seconds=1)),
        (lately, timedelta(days=61)),
    ):
        Reclaim.objects.filter(pk=row.pk).update(finished_at=now - ago)
    Reclaim.objects.filter(pk=same.pk).update(license="retired_plan")
    people = Subscription.objects.filter(pk__in=[row.subscription_id for row in (inside, outside, lately, same, other)])
    people.update(active=True)
    people.filter(pk__in=[same.subscription_id, other.subscription_id]).update(license="retired_plan")

    assert note_returns(world.profile, at=now) == 4

    found = {row.pk: row for row in Reclaim.objects.all()}
    assert [found[row.pk].bought_again for row in (inside, outside, lately, same)] == [True, False, True, True]
    assert {found[row.pk].back_at for row in (inside, outside, lately, same)} == {now}
    assert (found[same.pk].back_license, found[other.pk].back_at) == ("retired_plan", None)


def test_a_seat_that_is_taken_from_a_new_account_was_not_saved_twice(priced, alice, bob):
    """The person was deleted and made again. When they were back is kept where it is known."""
    world = priced
    decide.approve(request_reclaim(world.candidates(2), actor=alice), actor=bob)
    assert reclaim_due(world.profile).reclaimed == 2
    first, later = Reclaim.objects.order_by("pk")
    Subscription.objects.filter(pk=later.subscription_id).update(former=first.subscription_id)
    later = Reclaim.objects.get(pk=later.pk)
    note_taken_again(later)
    first.refresh_from_db()
    assert (first.bought_again, first.back_at, first.back_license) == (True, later.queued_at, "full")
    known = {"back_at": later.queued_at - timedelta(days=3), "back_license": "advanced"}
    Reclaim.objects.filter(pk=first.pk).update(bought_again=False, **known)
    note_taken_again(later)
    first.refresh_from_db()
    assert {"back_at": first.back_at, "back_license": first.back_license} == known and first.bought_again


def test_a_year_counts_what_happened_in_it(priced, alice, bob):
    """The first moment of a year counts in it, and the moment before in the former year."""
    world = priced
    decide.approve(request_reclaim(world.candidates(2), actor=alice), actor=bob)
    assert reclaim_due(world.profile).reclaimed == 2
    this = timezone.localdate().year
    begin = company_midnight(date(this, 1, 1))
    row, other = Reclaim.objects.order_by("pk")
    Reclaim.objects.filter(pk=row.pk).update(finished_at=begin - timedelta(seconds=1))
    Reclaim.objects.filter(pk=other.pk).update(finished_at=begin)
    back = {"bought_again": True, "back_license": "full"}
    Reclaim.objects.filter(pk=row.pk).update(back_at=begin, **back)
    count_verified(world.profile)

    found = {year: seats(world, year=year) for year in (this - 1, this, this + 1)}

    counted = {year: (each["verified"], each["again"]) for year, each in found.items()}
    assert counted == {this - 1: (1, 0), this: (1, 1), this + 1: (0, 0)}


def test_back_on_a_license_of_the_rule_that_costs_nothing_is_subtracted_nowhere(priced, alice, bob):
    """It is noted as a seat, since the rule reclaims it. Its price of 0 says that nothing was bought."""
    world = priced
    decide.approve(request_reclaim(world.candidates(1), actor=alice), actor=bob)
    assert reclaim_due(world.profile).reclaimed == 1
    ReclaimRule.objects.update(licenses=["full", "free_restricted"])
    item = Reclaim.objects.get()
    world.sandbox.world.change_by_hand(id_of(item), {"active": True, "license": "free_restricted"})
    world.download()
    item.refresh_from_db()
    assert (item.bought_again, item.back_license) == (True, "free_restricted")
    assert seats(world)["again"] == 0

    # The person gets a paid license after all: now the seat is bought again, since this day.
    world.sandbox.world.change_by_hand(id_of(item), {"license": "full"})
    world.download()
    first = item.back_at
    item.refresh_from_db()
    assert item.back_license == "full" and item.back_at > first
    assert seats(world)["again"] == 1
    world.download()
    assert seats(world)["again"] == 1
