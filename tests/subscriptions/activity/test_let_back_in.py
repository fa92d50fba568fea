"""An identity provider lets a person back in after each reclaim: each page for a decision says how often."""

from __future__ import annotations

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from subscriptions.activity.reactivation import let_back_in, nth, times_let_back_in
from subscriptions.approvals import decide
from subscriptions.approvals.request import request_reclaim
from subscriptions.models import Reclaim, RemovalCandidate, Subscription
from subscriptions.reclaims import restores
from subscriptions.reclaims.engine import reclaim_due
from subscriptions.reconciliation.reconcile import reconcile_profile
from tests.support.people.organization import page, request_url
from tests.support.web.pages import text_of

THIRD = "Let back in for the third time after a reclaim."


def candidate_of(row: Subscription):
    return RemovalCandidate.objects.open().filter(subscription=row)


def reclaim(world, row: Subscription, alice, bob) -> Reclaim:
    """Reclaim the person after the cool-down: the person is still inactive, and becomes a candidate again."""
    Subscription.objects.filter(pk=row.pk).update(cooldown_until=None)
    world.download()
    decide.approve(request_reclaim(candidate_of(row), actor=alice), actor=bob)
    assert reclaim_due(world.profile).reclaimed == 1
    return Reclaim.objects.filter(subscription=row, direction="deactivate").latest("pk")


def by_the_provider(world, row: Subscription) -> None:
    world.miro.change(row.external_id, active=True)


@pytest.fixture
def person(world) -> Subscription:
    world.first_download()
    return world.candidates(1).get().subscription


def test_each_page_says_that_it_is_the_third_time(world, person, alice, bob, as_user, workers_called):
    for time in (1, 2, 3):
        reclaim(world, person, alice, bob)
        assert times_let_back_in([person.pk]) == ({person.pk: time - 1} if time > 1 else {})
        by_the_provider(world, person)
        [finding] = reconcile_profile(world.profile, actor=None).findings
        assert finding["kind"] == "reactivated"
        assert times_let_back_in([person.pk]) == {person.pk: time}
        if time == 1:
            assert "Let back in" not in finding["detail"]
            assert "group" not in finding["next_step"]
    assert THIRD in finding["detail"]
    assert "Remove this person from that group at the provider" in finding["next_step"]

    Subscription.objects.update(cooldown_until=None)
    world.download()
    candidate = candidate_of(person).get()
    asked = request_reclaim(candidate_of(person), actor=alice)
    client = as_user(alice)
    pages = [
        page("removalcandidate", "change", candidate.pk),
        f"{page('removalcandidate', 'changelist')}?state__exact={RemovalCandidate.objects.get(pk=candidate.pk).state}",
        page("subscription", "change", person.pk),
        request_url("change", asked),
    ]
    for address in pages:
        assert THIRD in text_of(client.get(address)), address
    for address in (pages[0], pages[2]):
        assert "Remove this person from that group at the provider" in text_of(client.get(address))


def test_our_own_restores_do_not_count(world, person, alice, bob):
    item = reclaim(world, person, alice, bob)
    restores.restore(item, actor=alice, reason="Back from leave")
    assert reclaim_due(world.profile).restored == 1
    assert times_let_back_in([person.pk]) == {}

    reclaim(world, person, alice, bob)
    assert times_let_back_in([person.pk]) == {}
    by_the_provider(world, person)
    world.download()
    assert times_let_back_in([person.pk]) == {person.pk: 1}

    # Reclaimed again: the time before stays, and nobody has undone this one.
    reclaim(world, person, alice, bob)
    assert times_let_back_in([person.pk]) == {person.pk: 1}


def test_a_list_makes_one_query_for_it(world, alice, bob, as_user):
    world.first_download()
    people = list(world.candidates(4).values_list("subscription", flat=True))
    decide.approve(request_reclaim(world.candidates(4), actor=alice), actor=bob)
    reclaim_due(world.profile)
    for row in Subscription.objects.filter(pk__in=people[:3]):
        by_the_provider(world, row)
    world.download()
    with CaptureQueriesContext(connection) as asked:
        assert times_let_back_in(people) == dict.fromkeys(people[:3], 1)
    assert len(asked) == 1


def test_the_number_in_words():
    assert [nth(number) for number in (1, 3, 10, 11, 12, 21, 22, 23, 24, 111)] == [
        "first", "third", "tenth", "11th", "12th", "21st", "22nd", "23rd", "24th", "111th",
    ]  # fmt: skip
    assert let_back_in(0) == ""
