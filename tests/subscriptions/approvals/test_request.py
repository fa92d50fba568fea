"""Request people who are Ready, all or none. Raise the cap of a request: by another person, whom everybody sees."""

from __future__ import annotations

import pytest
from django.contrib.auth.models import User
from django.db import IntegrityError, transaction
from django.utils import timezone

from subscriptions.approvals import decide, request
from subscriptions.approvals.request import raise_cap, request_reclaim
from subscriptions.errors import ConcernsYou, NotActionable
from subscriptions.models import Reclaim, ReclaimRequest, ReclaimRule, RemovalCandidate

WHY = "The contract ends"


@pytest.fixture
def capped(world, alice) -> ReclaimRequest:
    """Asks for three where two are allowed."""
    world.first_download()
    ReclaimRule.objects.update(batch_cap_people=2)
    return request_reclaim(world.candidates(3), actor=alice)


def test_a_cap_that_is_raised_meanwhile_is_seen_before_the_decision(capped, bob, erin):
    """The approver has an old copy of the request: `capped` was read before its cap was raised."""
    raise_cap(ReclaimRequest.objects.get(pk=capped.pk), actor=bob, reason=WHY)

    with pytest.raises(NotActionable, match="has just changed"):
        decide.approve(capped, actor=erin)

    assert not Reclaim.objects.exists()
    assert decide.approve(ReclaimRequest.objects.get(pk=capped.pk), actor=erin) == 3


def test_nobody_raises_the_cap_for_their_own_seat(capped, bob):
    User.objects.filter(pk=bob.pk).update(email=capped.removals.all()[0].evidence["email"].upper())
    bob.refresh_from_db()

    with pytest.raises(ConcernsYou):
        raise_cap(capped, actor=bob, reason=WHY)

    capped.refresh_from_db()
    assert (capped.cap, capped.cap_raised_by) == (2, None)


def test_somebody_who_is_not_ready_any_more_when_all_are_moved_undoes_the_request(world, alice, monkeypatch):
    """The rows are locked when they are copied. The number shows whether the same ones were moved."""
    world.first_download()
    chosen = world.candidates(3)
    copy = request.insert_selected

    def one_leaves_meanwhile(*args):
        copied = copy(*args)
        RemovalCandidate.objects.filter(pk=chosen[0].pk).update(state="closed_skipped")
        return copied

    monkeypatch.setattr(request, "insert_selected", one_leaves_meanwhile)
    with pytest.raises(NotActionable, match="just requested"):
        request_reclaim(chosen, actor=alice)

    assert not ReclaimRequest.objects.exists()
    assert {candidate.state for candidate in chosen.all()} == {"ready"}


@pytest.mark.parametrize("column", ["requested_by", "decided_by"])
def test_the_database_holds_the_further_person_too(capped, bob, column):
    values = {column: bob, "cap_raised_by": bob, "cap_raised_at": timezone.now()}

    with pytest.raises(IntegrityError, match="request_cap_further_person"), transaction.atomic():
        ReclaimRequest.objects.filter(pk=capped.pk).update(**values)
