"""A rejection that is taken back: what was requested again, and pauses that somebody else has changed."""

from __future__ import annotations

from datetime import timedelta

import pytest

from subscriptions.approvals import decide, undo
from subscriptions.approvals.request import request_reclaim
from subscriptions.errors import NotActionable
from subscriptions.models import ReclaimRequest, RemovalCandidate, Subscription
from tests.support.people.keeping import pause


def again(request: ReclaimRequest) -> ReclaimRequest:
    return ReclaimRequest.objects.get(pk=request.pk)


def test_an_approved_later_request_keeps_its_people_too(organization, alice, bob):
    asked = organization.ask(alice)
    decide.reject(asked, actor=bob, comment="No")
    later = organization.ask(alice, count=1)
    decide.approve(later, actor=bob)
    with pytest.raises(NotActionable, match=f"{later} asks for some of these people"):
        undo.take_back_rejection(asked, actor=bob)
    assert again(asked).state == "rejected"


def test_an_earlier_request_is_no_reason_to_keep_a_rejection(organization, alice, bob):
    """Somebody was reclaimed once, came back, and is a candidate anew."""
    earlier = organization.ask(alice, count=1)
    decide.approve(earlier, actor=bob)
    former = RemovalCandidate.objects.filter(pk=earlier.removals.get().candidate_id)
    former.update(state="closed_complete", close_reason="reclaimed")
    anew = former.get()
    anew.pk, anew.state, anew.close_reason = None, "ready", ""
    anew.save()
    asked = request_reclaim(RemovalCandidate.objects.filter(pk=anew.pk), actor=alice)
    decide.reject(asked, actor=bob, comment="No")

    assert undo.take_back_rejection(asked, actor=bob) == 1


def test_a_pause_that_somebody_else_changed_goes_on(organization, alice, bob):
    """One pause has another reason by now, the other one has another end."""
    asked, keep = organization.ask(alice), pause()
    decide.reject(asked, actor=bob, comment="No", keep=keep)
    reason, end, _ = (row.candidate.subscription_id for row in asked.removals.order_by("pk"))
    Subscription.objects.filter(pk=reason).update(cooldown_reason="restored")
    Subscription.objects.filter(pk=end).update(cooldown_until=keep.until + timedelta(days=1))

    assert undo.take_back_rejection(asked, actor=bob) == 1

    assert Subscription.objects.get(pk=reason).cooldown_until == keep.until
    assert Subscription.objects.get(pk=end).cooldown_until == keep.until + timedelta(days=1)
