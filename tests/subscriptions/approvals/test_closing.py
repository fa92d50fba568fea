"""A request ends without a decision: in its time, and only while nobody has decided."""

from __future__ import annotations

import pytest
from django.urls import reverse
from django.utils import timezone

from licensehub.audit.actions import Action
from subscriptions import sweep
from subscriptions.approvals import closing, decide
from subscriptions.approvals.request import request_reclaim
from subscriptions.errors import NotActionable
from subscriptions.models import ReclaimRequest, ReclaimRule, RequestState
from tests.support.fixtures import actions
from tests.support.web.pages import text_of


@pytest.fixture
def opened(world, alice) -> ReclaimRequest:
    world.first_download()
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


def come_back(world, request: ReclaimRequest) -> None:
    for person in request.removals.all():
        world.miro.change(person.evidence["external_id"], last_activity_at="now")
    world.download()


def test_a_request_whose_people_are_all_active_again_ends_and_the_next_one_is_filed(world, alice, as_user, carol):
    ReclaimRule.objects.update(file_requests="automatic", batch_cap_people=2)
    world.download()
    [filed] = ReclaimRequest.objects.all()
    come_back(world, filed)

    filed.refresh_from_db()
    assert filed.state == "empty"
    assert actions().count("request.empty") == 1
    again = ReclaimRequest.objects.exclude(pk=filed.pk).get()
    assert (again.state, again.removals.not_dropped().count()) == ("open", 2)
    page = text_of(as_user(carol).get(reverse("admin:subscriptions_reclaimrequest_change", args=[filed.pk])))
    assert "It ended by itself, since nobody is left in it: Active again (2)." in page
    assert "Nobody left" in page


def test_an_empty_request_also_ends_while_answers_are_collected(world, alice):
    ReclaimRule.objects.update(notify_user=True)
    world.first_download()
    request = request_reclaim(world.candidates(2), actor=alice)
    one, other = request.removals.all()
    closing.drop(one, actor=alice, reason="On leave")
    world.miro.change(other.evidence["external_id"], last_activity_at="now")
    world.download()
    sweep.repair()

    request.refresh_from_db()
    assert request.state == "empty"


def test_dropping_the_last_person_ends_the_request_at_once(opened, alice, as_user):
    drop = reverse("admin:subscriptions_reclaimrequest_drop", args=[opened.pk, opened.removals.get().pk])
    as_user(alice).post(drop, {"kept_as": "sent_back", "comment": "On leave"})

    opened.refresh_from_db()
    assert opened.state == "empty"
    assert closing.end_empty_requests() == 0
    assert actions()[-1] == "request.empty"
