"""A restore while no license is free: the page says it before the button, and shows the result afterwards."""

from __future__ import annotations

import pytest

from subscriptions.approvals import decide
from subscriptions.models import Reclaim, Subscription
from subscriptions.reclaims import restores
from subscriptions.reclaims.engine import reclaim_due
from tests.support.people.organization import page, request_url
from tests.support.people.restoring import REASON, reclaimed
from tests.support.web.pages import text_of


def taken(world) -> int:
    return Subscription.objects.filter(license="full").held().count()


@pytest.fixture
def full_house(world, alice, bob) -> list[Reclaim]:
    """Three seats were reclaimed, and somebody gave them to others at once: all Full licenses are taken again."""
    items = [item for item in reclaimed(world, alice, bob, 4) if item.removal.evidence["license"] == "full"][:3]
    assert len(items) == 3
    world.miro.set_toggles(full_licenses_purchased=taken(world))
    world.download()
    return items


def test_a_restore_without_a_free_license(world, full_house, alice, as_user, workers_called):
    client, bought = as_user(alice), taken(world)
    shown = text_of(client.get(page("reclaim", "restore", full_house[0].pk)))
    assert f"0 of {bought} Full are free now." in shown
    assert "Miro may give another license, e.g. Free Restricted, or refuse." in shown

    item = restores.restore(full_house[0], actor=alice, reason=REASON)
    assert reclaim_due(world.profile).restored == 1

    item.refresh_from_db()
    assert item.outcome.startswith("Active again. License is Free Restricted now, was Full.")
    assert (item.license_after, item.subscription.license) == ("free_restricted", "free_restricted")
    assert world.miro.member(item.subscription.external_id)["license"] == "free_restricted"
    assert "License is Free Restricted now, was Full." in text_of(client.get(page("reclaim", "change", item.pk)))


def test_a_restore_of_three_people_with_one_free_license(world, full_house, alice, bob, as_user, workers_called):
    bought = taken(world) + 1
    world.miro.set_toggles(full_licenses_purchased=bought)
    world.download()
    client = as_user(alice)
    chosen = Reclaim.objects.filter(pk__in=[item.pk for item in full_house])
    confirm = client.post(
        page("reclaim", "changelist"),
        {"action": "request_restore", "_selected_action": [item.pk for item in full_house]},
    )
    assert f"1 of {bought} Full is free now. This restore needs 3." in text_of(confirm)
    assert "Miro may give another license" in text_of(confirm)
    request = restores.request_restore(chosen, actor=alice, reason=REASON)
    decider = as_user(bob)
    assert f"1 of {bought} Full is free now. This restore needs 3." in text_of(
        decider.get(request_url("change", request))
    )

    decide.approve(request, actor=bob)
    assert reclaim_due(world.profile).restored == 3

    after = text_of(decider.get(request_url("change", request)))
    assert "2 people have Free Restricted now, and had Full before." in after
    assert "1 person has Full, as before." in after
    assert "free now" not in after


def test_a_refusal_is_said_and_changes_nothing(world, full_house, alice, bob, as_user, workers_called):
    world.miro.set_toggles(restore_without_seat="refuse")
    chosen = Reclaim.objects.filter(pk__in=[item.pk for item in full_house])
    request = restores.request_restore(chosen, actor=alice, reason=REASON)
    decide.approve(request, actor=bob)

    tally = reclaim_due(world.profile)

    assert (tally.refused, tally.restored) == (3, 0)
    shown = text_of(as_user(bob).get(request_url("change", request)))
    assert "There are no free licenses left in the organization" in shown
    assert "Miro refused 3 people. They stay deactivated; the list says why." in shown
    assert {item.subscription.external_id for item in full_house} <= world.inactive()


def test_no_warning_if_enough_licenses_are_free_or_the_number_is_not_known(world, alice, bob, as_user, workers_called):
    [item, *_] = reclaimed(world, alice, bob, 1)
    client, address = as_user(alice), page("reclaim", "restore", item.pk)
    shown = text_of(client.get(address))
    assert "are free now." in shown
    assert "may give another license" not in shown

    item.removal.evidence["license"] = "standard"
    item.removal.save()
    shown = text_of(client.get(address))
    assert "How many Standard licenses are free is not known: Miro does not say how many were bought." in shown
    assert "may give another license" not in shown
