"""Somebody in a request changes while it is approved: then nobody is approved, and the page has to be read again."""

from __future__ import annotations

import pytest
from django.utils import timezone

from subscriptions.approvals import decide
from subscriptions.approvals.request import request_reclaim
from subscriptions.errors import NotActionable
from subscriptions.models import Reclaim, ReclaimRequest, RemovalCandidate, RequestedRemoval


@pytest.fixture
def opened(world, alice) -> ReclaimRequest:
    world.first_download()
    return request_reclaim(world.candidates(3), actor=alice)


def nothing_changed(request: ReclaimRequest) -> bool:
    request.refresh_from_db()
    waiting = RemovalCandidate.objects.filter(removals__request=request, state="awaiting_approval")
    return request.state == "open" and waiting.exists() and not Reclaim.objects.exists()


def test_a_candidate_that_closes_meanwhile_stops_the_approval(opened, bob):
    first = opened.removals.all()[0]
    RemovalCandidate.objects.filter(pk=first.candidate_id).update(state="closed_canceled")

    with pytest.raises(NotActionable, match="have just changed"):
        decide.approve(opened, actor=bob)

    assert nothing_changed(opened)


def test_a_person_who_is_dropped_meanwhile_stops_the_approval(opened, bob, monkeypatch):
    """Somebody drops a person in the database, between the moment when the rows are read and the queue."""
    move_on = decide._move_on

    def dropped_after_it(people, now):
        move_on(people, now)
        RequestedRemoval.objects.filter(pk=opened.removals.all()[0].pk).update(dropped_at=timezone.now())

    monkeypatch.setattr(decide, "_move_on", dropped_after_it)
    with pytest.raises(NotActionable, match="have just changed"):
        decide.approve(opened, actor=bob)

    assert nothing_changed(opened)
