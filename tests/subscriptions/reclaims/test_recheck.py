"""The recheck before the send compares the person with what was approved."""

from __future__ import annotations

import pytest

from subscriptions.approvals import decide
from subscriptions.approvals.request import request_reclaim
from subscriptions.reclaims.engine import reclaim_due


@pytest.mark.parametrize(
    ("fact", "approved", "reason"),
    [
        ("role", "organization_internal_trainee", "role_changed"),
        ("license", "basic", "license_changed"),
    ],
)
def test_somebody_approved_as_another_kind_of_seat_is_not_sent(world, alice, bob, fact, approved, reason):
    """Also where both are kinds of seats that the rule reclaims, so that no clause of the rule stops it."""
    world.first_download()
    candidate = world.candidates(1).get()
    candidate.evidence[fact] = approved
    candidate.save()
    request = request_reclaim(world.candidates(1), actor=alice)
    decide.approve(request, actor=bob)

    assert reclaim_due(world.profile).skipped == 1

    assert world.deactivated_by_us() == []
    candidate.refresh_from_db()
    assert (candidate.state, candidate.close_reason) == ("closed_skipped", reason)
