"""People who return in ways that could make a seat count twice, or not at all."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta
from decimal import Decimal

from django.utils import timezone

from integrations.models import IntegrationProfile
from subscriptions.approvals import decide
from subscriptions.approvals.request import request_reclaim
from subscriptions.models import Per, Reclaim, RemovalCandidate, Subscription
from subscriptions.money.prices import PriceInput, enter_price
from subscriptions.money.savings import Ledger, Stage, years_with_savings
from subscriptions.profiles import archive
from subscriptions.reclaims.engine import reclaim_due
from tests.support.fixtures import connect


def long_ago() -> str:
    return (timezone.now() - timedelta(days=400)).isoformat()


def priced(world, alice) -> None:
    world.first_download()
    price = PriceInput("full", Decimal(240), "USD", Per.YEAR, date(2020, 1, 1))
    enter_price(world.profile, price, actor=alice)


def taken(world, alice, bob, candidates) -> list[Reclaim]:
    request = request_reclaim(candidates, actor=alice)
    decide.approve(request, actor=bob)
    assert reclaim_due(world.profile).reclaimed == request.removals.count()
    return list(Reclaim.objects.filter(removal__request=request).order_by("pk"))


def totals() -> dict[str, int]:
    """Seats of all years and profiles. The amount of each stage is that of its rows."""
    profiles, found = list(IntegrationProfile.objects.all()), {"verified": 0, "again": 0}
    for year in years_with_savings(profiles):
        ledger = Ledger(profiles, year)
        for stage in (Stage.VERIFIED, Stage.AGAIN):
            cells = [line.cells[stage] for group in ledger.groups() for line in group.lines]
            rows = list(ledger.rows(stage))
            assert sum(cell.seats for cell in cells) == len(rows)
            assert sum(cell.amount for cell in cells) == sum(ledger.prices.by_id[row.price].yearly for row in rows)
            found[stage.value] += len(rows)
    return found


def test_a_free_license_is_no_seat_until_it_becomes_a_paid_one(world, alice, bob):
    """Nobody entered that Free Restricted costs nothing: the vendor and the rule know it."""
    priced(world, alice)
    free, upgraded = taken(world, alice, bob, world.candidates(2))
    for item in (free, upgraded):
        world.miro.change(item.subscription.external_id, active=True, license="free_restricted")
    world.download()
    assert totals() == {"verified": 2, "again": 0}
    world.miro.change(upgraded.subscription.external_id, license="full")
    world.download()
    assert totals() == {"verified": 2, "again": 1}
    upgraded.refresh_from_db()
    assert (upgraded.bought_again, upgraded.back_license) == (True, "full")
    assert free.subscription.external_id not in world.inactive()


def test_a_person_who_is_taken_back_three_times_saves_one_seat(world, alice, bob):
    """Twice let in by the vendor, once more than 90 days later."""
    priced(world, alice)
    [first] = taken(world, alice, bob, world.candidates(1))
    for days in (200, 100):
        Reclaim.objects.filter(pk=Reclaim.objects.latest("pk").pk).update(
            finished_at=timezone.now() - timedelta(days=days)
        )
        world.miro.change(first.subscription.external_id, active=True, last_activity_at=long_ago())
        world.download()
        Subscription.objects.filter(pk=first.subscription_id).update(cooldown_until=None)
        world.download()
        taken(world, alice, bob, RemovalCandidate.objects.filter(state="ready", subscription=first.subscription_id))
    assert totals() == {"verified": 3, "again": 2}
    assert first.subscription.external_id in world.inactive()


def test_a_new_account_or_profile_is_still_the_same_person(world, alice, bob, at_sandbox):
    world.download()
    priced(world, alice)
    again, twice, stays, late = taken(world, alice, bob, world.candidates(4))
    for item in (again, twice):
        new = world.miro.make_again(item.subscription.external_id)["id"]
        world.miro.change(new, license_assigned_at=long_ago(), last_activity_at=long_ago(), active=item == again)
    world.download()
    assert totals() == {"verified": 4, "again": 1}
    archive.archive(world.profile, typed_name=world.profile.name, actor=bob)
    assert totals() == {"verified": 4, "again": 1}, "the archived profile keeps its savings"

    successor = replace(world, profile=connect(at_sandbox, name="Northwind again"))
    world.miro.change(stays.subscription.external_id, active=True)
    successor.download()
    assert totals() == {"verified": 4, "again": 2}
    groups = Ledger([successor.profile], timezone.localdate().year).groups()
    [line] = [line for group in groups for line in group.lines if line.license == "full"]
    assert line.cells[Stage.POTENTIAL].amount == 240 * line.cells[Stage.POTENTIAL].seats > 0

    # Somebody is back when the profile has been made again twice, and was not in between.
    archive.archive(successor.profile, typed_name=successor.profile.name, actor=bob)
    third = replace(world, profile=connect(at_sandbox, name="Northwind once more"))
    third.download()
    assert totals() == {"verified": 4, "again": 2}
    new = world.miro.make_again(late.subscription.external_id)["id"]
    world.miro.change(new, active=True)
    third.download()
    assert totals() == {"verified": 4, "again": 3}
