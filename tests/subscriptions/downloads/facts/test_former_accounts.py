"""The same person in another row: deleted at the vendor and made again, or found by a new profile."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest
from django.test import Client
from django.utils import timezone

from subscriptions.approvals import decide
from subscriptions.approvals.request import request_reclaim
from subscriptions.candidates import caps
from subscriptions.models import Protection, RemovalCandidate, Subscription
from subscriptions.profiles import archive
from subscriptions.reclaims.engine import reclaim_due
from subscriptions.rules.protections import ProtectionInput, create_protection, end_protection
from tests.support.fixtures import actions, connect
from tests.support.people.keeping import pause
from tests.support.people.notices import text_of

WHY = "{} was rejected: “On parental leave”"


def long_ago() -> str:
    return (timezone.now() - timedelta(days=400)).isoformat()


def made_again(world, external_id: str, **changes: str) -> str:
    """Delete the account and make it again with the same address, and as long inactive. Returns the new id."""
    again = world.miro.make_again(external_id)["id"]
    world.miro.change(again, license_assigned_at=long_ago(), last_activity_at=long_ago(), active=True, **changes)
    return str(again)


def row_of(world, external_id: str) -> Subscription:
    rows = Subscription.objects.select_related("evaluation", "profile")
    return rows.get(profile=world.profile, external_id=external_id)


def test_the_cool_down_of_a_rejection_goes_on_under_a_new_id(world, alice, bob):
    world.first_download()
    rejected, ready, other = world.candidates(3).order_by("pk")
    request = request_reclaim(RemovalCandidate.objects.filter(pk=rejected.pk), actor=alice)
    decide.reject(request, actor=bob, comment="On parental leave", keep=pause())
    until = row_of(world, rejected.subscription.external_id).cooldown_until
    one = made_again(world, rejected.subscription.external_id, email=rejected.subscription.email.upper())
    two = made_again(world, ready.subscription.external_id)
    stranger = made_again(world, other.subscription.external_id, email="new@northwind.example")
    world.download()

    row = row_of(world, one)
    assert (row.former_id, row.cooldown_until, row.cooldown_reason) == (
        rejected.subscription_id,
        until,
        WHY.format(request),
    )
    assert row.verdict == "cooling_down"
    assert not row.candidates.exists()
    assert row_of(world, two).verdict == "candidate"
    assert row_of(world, two).former_id == ready.subscription_id
    assert (row_of(world, stranger).former_id, row_of(world, stranger).verdict) == (None, "candidate")

    client = Client()
    client.force_login(bob)
    page = text_of(client.get(f"/admin/subscriptions/subscription/{row.pk}/change/"))
    assert "One person, 2 accounts" in page and "A former account with the same address" in page
    assert "Closed Skipped" in page and "Rejected" in page and f"known as {one} in" in page
    former = text_of(client.get(f"/admin/subscriptions/subscription/{row.former_id}/change/"))
    assert "Made again later" in former


def test_an_approval_does_not_go_over_to_the_new_account_and_a_reclaim_is_remembered(world, alice, bob):
    world.first_download()
    taken, approved = world.candidates(2).order_by("pk")
    request = request_reclaim(RemovalCandidate.objects.filter(pk=taken.pk), actor=alice)
    decide.approve(request, actor=bob)
    assert reclaim_due(world.profile).reclaimed == 1
    request = request_reclaim(RemovalCandidate.objects.filter(pk=approved.pk), actor=alice)
    decide.approve(request, actor=bob)
    one = made_again(world, taken.subscription.external_id)
    two = made_again(world, approved.subscription.external_id)
    world.download()
    assert reclaim_due(world.profile).skipped == 1

    assert two not in world.inactive()
    row = row_of(world, one)
    # Somebody let them in again after the reclaim, so the software leaves them alone for a while.
    assert row.verdict == "cooling_down" and "reactivated" in row.cooldown_reason
    client = Client()
    client.force_login(bob)
    page = text_of(client.get(f"/admin/subscriptions/subscription/{row.pk}/change/"))
    assert "Reclaimed 1 time in all" in page and "Reclaim: verified" in page

    # After the cool-down, the seat is taken a second time.
    Subscription.objects.filter(pk=row.pk).update(cooldown_until=None)
    world.download()
    again = request_reclaim(row.candidates.all(), actor=alice)
    decide.approve(again, actor=bob)
    assert reclaim_due(world.profile).reclaimed == 1
    page = text_of(client.get(f"/admin/subscriptions/reclaim/{row.reclaims.get().pk}/change/"))
    assert "Reclaim, the 2nd of this person" in page


def test_a_new_profile_of_the_same_organization_begins_where_the_archived_one_ended(world, alice, bob, at_sandbox):
    world.first_download()
    rejected, taken, free, left = world.candidates(4).order_by("pk")
    paused = request_reclaim(RemovalCandidate.objects.filter(pk=rejected.pk), actor=alice)
    decide.reject(paused, actor=bob, comment="On parental leave", keep=pause())
    request = request_reclaim(RemovalCandidate.objects.filter(pk=taken.pk), actor=alice)
    decide.approve(request, actor=bob)
    assert reclaim_due(world.profile).reclaimed == 1
    before = caps.caps_of(world.profile)
    why = ProtectionInput("The board decided", "Petra Meyer, HR")
    protected = [create_protection(world.profile, "person", free.subscription.email, why, actor=bob).made[0]]
    protected.append(create_protection(world.profile, "license", "full", why, actor=bob).made[0])
    ended = create_protection(world.profile, "domain", "contractor.example", why, actor=bob).made[0]
    end_protection(ended, actor=bob)
    goes_on = archive.consequences_of(world.profile)
    assert (goes_on.protections, goes_on.cooling_down, goes_on.deactivated) == (2, 1, 1)
    archive.archive(world.profile, typed_name=world.profile.name, actor=bob)
    world.miro.change(taken.subscription.external_id, active=True)
    # Somebody new has the former address of a member who is still there.
    world.miro.change(rejected.subscription.external_id, email="pat.married@northwind.example")
    stranger = made_again(world, left.subscription.external_id, email=rejected.subscription.email)

    again = replace(world, profile=connect(at_sandbox, name="Northwind again"))
    create_protection(again.profile, "license", "full", why, actor=bob)
    again.download()
    moved = list(Protection.objects.in_force().filter(profile=again.profile).values_list("pk", flat=True))
    assert protected[0].pk in moved and protected[1].pk not in moved and len(moved) == 2
    assert actions().count("protection.moved") == 1
    assert row_of(again, free.subscription.external_id).verdict == "protected"
    row = row_of(again, rejected.subscription.external_id)
    assert (row.cooldown_reason, row.former_id) == (WHY.format(paused), rejected.subscription_id)
    assert row.cooldown_until == Subscription.objects.get(pk=rejected.subscription_id).cooldown_until
    assert "reactivated" in row_of(again, taken.subscription.external_id).cooldown_reason
    assert caps.caps_of(again.profile).used == before.used == 1
    strangers = Subscription.objects.filter(profile=again.profile, former=None)
    assert list(strangers.values_list("external_id", flat=True)) == [stranger]


def test_an_address_with_other_letters_is_found_again(world):
    world.first_download()
    one = world.candidates(1).get().subscription
    world.miro.change(one.external_id, email="jörg@münchen.example")
    world.download()
    again = made_again(world, one.external_id, email="JÖRG@xn--mnchen-3ya.example")
    world.download()
    assert row_of(world, again).former_id == one.pk


@pytest.mark.parametrize(("email", "other"), [("", ""), ("taken@northwind.example", "other@northwind.example")])
def test_an_address_without_a_former_account_links_nobody(world, email, other):
    world.first_download()
    one = world.candidates(1).get().subscription
    world.miro.change(one.external_id, email=email)
    world.download()
    again = made_again(world, one.external_id, email=other)
    world.download()
    assert row_of(world, again).former_id is None
