"""The cap of one request, counted no further than needed, is the one that all seats counted give."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.utils import timezone

from integrations.models import IntegrationProfile
from subscriptions.approvals import decide
from subscriptions.candidates import caps
from subscriptions.models import Reclaim, ReclaimRule, ReclaimState


@pytest.fixture
def profile(world) -> IntegrationProfile:
    world.first_download()
    return world.profile


@pytest.mark.parametrize("people", [1, 2, 3, 50])
@pytest.mark.parametrize("share", [1, 5, 34, 100])
def test_the_same_as_all_seats_counted(profile, people, share):
    ReclaimRule.objects.update(batch_cap_people=people, batch_cap_percent=share)
    assert caps.batch_of(profile) == caps.caps_of(profile).batch
    assert caps.batch_of(profile, given_back=30) == caps.caps_of(profile, given_back=30).batch


def test_nothing_is_counted_beyond_what_matters(profile, django_assert_num_queries):
    ReclaimRule.objects.update(batch_cap_people=1, batch_cap_percent=50)
    with django_assert_num_queries(4) as asked:
        assert caps.batch_of(profile) == 1
    counts = [query["sql"] for query in asked.captured_queries[2:]]
    assert all("LIMIT 2" in sql and "ORDER BY" not in sql for sql in counts)


@pytest.mark.parametrize(
    ("state", "counts"),
    [
        (ReclaimState.SENDING, True),
        (ReclaimState.IN_DOUBT, True),
        (ReclaimState.DONE, True),
        (ReclaimState.QUEUED, False),
        (ReclaimState.CLAIMED, False),
        (ReclaimState.FAILED, False),
        (ReclaimState.SKIPPED, False),
    ],
)
def test_who_may_have_lost_a_seat_counts_for_24_hours(organization, alice, bob, state, counts):
    request = organization.ask(alice, count=3)
    decide.approve(request, actor=bob)
    first, second, _ = Reclaim.objects.order_by("pk").values_list("pk", flat=True)
    now = timezone.now()
    Reclaim.objects.filter(pk=first).update(state=state, sending_at=now - timedelta(hours=23))
    Reclaim.objects.filter(pk=second).update(state=state, sending_at=now - timedelta(hours=25))

    assert caps.caps_of(organization.profile).used == int(counts)
    assert caps.touched_by(request) == 2 * int(counts)
