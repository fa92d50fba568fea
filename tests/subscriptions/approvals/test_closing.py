"""A request ends without a decision: in its time, and only while nobody has decided."""

from __future__ import annotations

import pytest
from django.utils import timezone

from licensehub.audit.actions import Action
from subscriptions.approvals import closing, decide
from subscriptions.approvals.request import request_reclaim
from subscriptions.errors import NotActionable
from subscriptions.models import ReclaimRequest, RequestState
from tests.support.fixtures import actions


@pytest.fixture
def opened(world, alice) -> ReclaimRequest:
    world.download()
    return request_reclaim(world.candidates(1), actor=alice)


@pytest.fixture
def approved(opened, bob) -> ReclaimRequest:
    decide.approve(opened, actor=bob)
    return opened


def test_a_request_expires_after_its_time_and_not_before(opened):
    assert closing.expire_requests() == 0

    ReclaimRequest.objects.update(expires_at=timezone.now())
    assert closing.expire_requests() == 1

    opened.refresh_from_db()
    assert (opened.state, opened.removals.get().candidate.state) == ("expired", "ready")


def test_an_approved_request_is_not_withdrawn(approved, alice):
    with pytest.raises(NotActionable, match="was approved already"):
        closing.cancel(approved, actor=alice)

    approved.refresh_from_db()
    assert (approved.state, approved.removals.get().candidate.state) == ("approved", "awaiting_revocation")
    assert "request.canceled" not in actions()


def test_an_approved_request_does_not_expire(approved):
    """It was open and overdue when the sweep found it."""
    assert closing._end(approved, RequestState.EXPIRED, Action.REQUEST_EXPIRED, actor=None) is False

    approved.refresh_from_db()
    assert approved.state == "approved"
    assert "request.expired" not in actions()
