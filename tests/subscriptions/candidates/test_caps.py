"""The cap of one request, counted no further than needed, is the one that all seats counted give."""

from __future__ import annotations

import pytest

from integrations.models import IntegrationProfile
from subscriptions.candidates import caps
from subscriptions.models import ReclaimRule


@pytest.fixture
def profile(world) -> IntegrationProfile:
    world.download()
    return world.profile


@pytest.mark.parametrize("people", [1, 2, 3, 50])
@pytest.mark.parametrize("share", [1, 5, 34, 100])
def test_the_same_as_all_seats_counted(profile, people, share):
    ReclaimRule.objects.update(batch_cap_people=people, batch_cap_percent=share)
    assert caps.batch_of(profile) == caps.caps_of(profile).batch
    assert caps.batch_of(profile, given_back=30) == caps.caps_of(profile, given_back=30).batch


def test_nothing_is_counted_beyond_what_matters(profile, django_assert_num_queries):
    ReclaimRule.objects.update(batch_cap_people=1, batch_cap_percent=50)
    with django_assert_num_queries(3) as asked:
        assert caps.batch_of(profile) == 1
    counts = [query["sql"] for query in asked.captured_queries[1:]]
    assert all("LIMIT 2" in sql and "ORDER BY" not in sql for sql in counts)
