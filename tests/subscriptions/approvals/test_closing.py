"""A request that is decided does not end a second time."""

from __future__ import annotations

import pytest

from licensehub.audit.actions import Action
from subscriptions.approvals import closing, decide
from subscriptions.approvals.request import request_reclaim
from subscriptions.errors import NotActionable
from subscriptions.models import ReclaimRequest, RequestState
from tests.support.fixtures import actions


@pytest.fixture
def approved(world, alice, bob) -> ReclaimRequest:
    world.download()
    request = request_reclaim(world.candidates(1), actor=alice)
    decide.approve(request, actor=bob)
    return request


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
