"""A send in doubt whose person is still active: a human leaves it, or asks for one more send with its own approval."""

from __future__ import annotations

import threading

import pytest
from django.db import connection

from subscriptions import sweep
from subscriptions.approvals import decide
from subscriptions.approvals.request import request_reclaim, send_again
from subscriptions.candidates.actions import leave_alone, resume
from subscriptions.errors import NotActionable, Refused
from subscriptions.models import Reclaim, ReclaimRequest, RemovalCandidate
from subscriptions.reclaims import restores
from subscriptions.reclaims.engine import reclaim_due
from tests.support.fixtures import World, actions

REASON = "Nobody let them in: checked in Miro"


def in_doubt(world: World, alice, bob) -> RemovalCandidate:
    """Sent, not done by Miro, read twice as still active."""
    world.first_download()
    request = request_reclaim(world.candidates(1), actor=alice)
    decide.approve(request, actor=bob)
    world.miro.fault("error_before", match={"method": "PATCH"})
    assert reclaim_due(world.profile).in_doubt == 1
    assert sweep.read_back_doubts(world.profile) == 1
    candidate: RemovalCandidate = request.removals.get().candidate
    assert candidate.state == "attention_required"
    return candidate


@pytest.fixture
def in_doubt_person(world, alice, bob, read_again_at_once, request) -> RemovalCandidate:
    world.cache.scene(request, lambda: in_doubt(world, alice, bob), world.sandbox)
    return RemovalCandidate.objects.get(state="attention_required")


def patches(world: World) -> int:
    return sum(request["method"] == "PATCH" for request in world.miro.requests())


def test_send_again_is_a_request_of_its_own(world, in_doubt_person, alice, bob):
    request = send_again(in_doubt_person, actor=alice, reason=REASON)
    assert reclaim_due(world.profile).reclaimed == 0, "not before somebody approves"

    decide.approve(request, actor=bob)
    assert reclaim_due(world.profile).reclaimed == 1

    first = Reclaim.objects.earliest("pk")
    assert (request.repeats, request.removals.count(), request.reason) == (first, 1, REASON)
    assert patches(world) == 2
    assert world.deactivated_by_us() == [first.subscription.external_id]
    assert first.state == "in_doubt", "what became of the first send stays as it was found"


def test_left_alone_is_not_sent_again(world, in_doubt_person, alice, bob):
    leave_alone(in_doubt_person, actor=alice)

    with pytest.raises(NotActionable):
        send_again(in_doubt_person, actor=alice, reason=REASON)

    world.download()
    reclaim_due(world.profile)
    assert patches(world) == 1
    assert not RemovalCandidate.objects.open().filter(subscription=in_doubt_person.subscription).exists()


def test_a_doubt_is_not_resumed_like_a_refusal(in_doubt_person, alice):
    """Else it could come into any request, and its page would not tell the approver about the doubt."""
    with pytest.raises(NotActionable, match="Leave this person alone, or send again"):
        resume(in_doubt_person, actor=alice)


def test_not_without_words(in_doubt_person, alice):
    with pytest.raises(Refused, match="few words"):
        send_again(in_doubt_person, actor=alice, reason=" ")
    in_doubt_person.refresh_from_db()
    assert in_doubt_person.state == "attention_required"


def test_a_doubt_that_was_followed_by_a_refusal_is_no_doubt_any_more(world, in_doubt_person, alice, bob):
    decide.approve(send_again(in_doubt_person, actor=alice, reason=REASON), actor=bob)
    world.miro.fault("error_before", status=409, match={"method": "PATCH"})
    assert reclaim_due(world.profile).refused == 1
    in_doubt_person.refresh_from_db()
    assert in_doubt_person.state == "attention_required"

    with pytest.raises(NotActionable, match="nothing to repeat"):
        send_again(in_doubt_person, actor=alice, reason=REASON)


def test_a_doubt_that_is_still_being_read_is_not_sent_again(world, alice, bob):
    world.first_download()
    request = request_reclaim(world.candidates(1), actor=alice)
    decide.approve(request, actor=bob)
    world.miro.fault("error_before", match={"method": "PATCH"})
    assert reclaim_due(world.profile).in_doubt == 1

    with pytest.raises(NotActionable, match="nothing to repeat"):
        send_again(request.removals.get().candidate, actor=alice, reason=REASON)


def test_a_refused_person_is_resumed_and_not_sent_again(world, alice, bob):
    world.first_download()
    request = request_reclaim(world.candidates(1), actor=alice)
    decide.approve(request, actor=bob)
    world.miro.fault("error_before", status=409, match={"method": "PATCH"})
    reclaim_due(world.profile)

    with pytest.raises(NotActionable, match="nothing to repeat"):
        send_again(request.removals.get().candidate, actor=alice, reason=REASON)


def test_a_restore_in_doubt_is_no_reason_to_send_a_deactivation(world, alice, bob, read_again_at_once):
    world.first_download()
    request = request_reclaim(world.candidates(1), actor=alice)
    decide.approve(request, actor=bob)
    reclaim_due(world.profile)
    reclaimed_person = Reclaim.objects.get()
    restores.restore(reclaimed_person, actor=alice, reason="Back")
    world.miro.fault("error_before", match={"method": "PATCH"})
    reclaim_due(world.profile)
    sweep.read_back_doubts(world.profile)

    with pytest.raises(NotActionable, match="nothing to repeat"):
        send_again(reclaimed_person.removal.candidate, actor=alice, reason=REASON)


def test_send_again_leave_and_resume_at_once(real_transactions, world, alice, bob, read_again_at_once):
    """The first one wins; the others hear so, and at most one request is made."""
    in_doubt_person = in_doubt(world, alice, bob)
    outcomes: list[str] = []
    acts = [
        *[lambda: send_again(in_doubt_person, actor=alice, reason=REASON)] * 4,
        *[lambda: leave_alone(in_doubt_person, actor=alice)] * 2,
    ]
    barrier = threading.Barrier(len(acts))

    def run(act) -> None:
        barrier.wait()
        try:
            act()
            outcomes.append("done")
        except NotActionable:
            outcomes.append("too late")
        finally:
            connection.close()

    threads = [threading.Thread(target=run, args=(act,)) for act in acts]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert sorted(outcomes) == ["done"] + ["too late"] * 5
    in_doubt_person.refresh_from_db()
    repeats = ReclaimRequest.objects.filter(repeats__isnull=False).count()
    assert (in_doubt_person.state, repeats) in (("awaiting_approval", 1), ("closed_skipped", 0))
    assert actions().count("candidate.returned") == repeats
    assert patches(world) == 1
