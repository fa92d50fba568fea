"""More people than the cap: each request that is made can be approved, or the requester has chosen one that cannot."""

from __future__ import annotations

import itertools

import pytest

from subscriptions.approvals import decide, splitting
from subscriptions.approvals.splitting import Split, request_split
from subscriptions.errors import ConcernsYou, NotActionable, OverCap
from subscriptions.models import ReclaimRequest, ReclaimRule, RemovalCandidate


@pytest.fixture
def small_cap(organization):
    """Eight people are Ready. A request may have three."""
    ReclaimRule.objects.update(batch_cap_people=3)
    return organization


def sizes() -> list[int]:
    return [request.removals.count() for request in ReclaimRequest.objects.order_by("pk")]


def ready() -> int:
    return RemovalCandidate.objects.filter(state="ready").count()


def test_several_requests_have_everybody_and_each_can_be_approved(small_cap, alice, bob):
    made = request_split(RemovalCandidate.objects.all(), actor=alice, reason="True-up", split=Split.SEVERAL)

    assert sizes() == [3, 3, 2] and ready() == 0
    people = [removal.candidate_id for request in made for removal in request.removals.all()]
    assert len(set(people)) == 8
    idle = [[removal.evidence["idle_days"] for removal in request.removals.all()] for request in made]
    assert [max(later) < min(earlier) for earlier, later in itertools.pairwise(idle)] == [True, True]
    assert [decide.approve(request, actor=bob) for request in made] == [3, 3, 2]


def test_the_first_are_those_who_are_inactive_the_longest(small_cap, alice, bob):
    [made] = request_split(RemovalCandidate.objects.all(), actor=alice, reason="", split=Split.FIRST)

    assert {row.evidence["idle_days"] for row in made.removals.all()} == {111, 110, 109}
    assert ready() == 5 and decide.approve(made, actor=bob) == 3


def test_one_request_over_the_cap_is_made_only_on_demand(small_cap, alice, bob):
    [made] = request_split(RemovalCandidate.objects.all(), actor=alice, reason="", split=Split.ONE)
    with pytest.raises(OverCap):
        decide.approve(made, actor=bob)

    assert sizes() == [8]


def test_there_are_not_endlessly_many_requests(small_cap, alice, monkeypatch):
    monkeypatch.setattr(splitting, "MAX_REQUESTS", 2)
    request_split(RemovalCandidate.objects.all(), actor=alice, reason="", split=Split.SEVERAL)

    assert sizes() == [3, 3] and ready() == 2
    assert splitting.parts_of(8, 3) == 2


def test_all_requests_are_made_or_none(small_cap, alice):
    """The requester is among the people of the last part."""
    last = RemovalCandidate.objects.order_by("-idle_since").first()
    alice.email = last.evidence["email"]
    alice.save()
    with pytest.raises(ConcernsYou):
        request_split(RemovalCandidate.objects.all(), actor=alice, reason="", split=Split.SEVERAL)
    assert not ReclaimRequest.objects.exists() and ready() == 8

    RemovalCandidate.objects.update(state="awaiting_approval")
    with pytest.raises(NotActionable):
        request_split(RemovalCandidate.objects.all(), actor=alice, reason="", split=Split.SEVERAL)
