"""One flow for each way in which a candidate can end, on real HTTP: ledger, audit and the sandbox's truth agree."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.utils import timezone

from integrations.connectors.contract import BadAnswer
from integrations.connectors.miro.connector import MiroConnector
from subscriptions import sweep
from subscriptions.approvals import decide
from subscriptions.approvals.request import request_reclaim
from subscriptions.candidates.actions import resume
from subscriptions.errors import NotActionable, OwnRequest
from subscriptions.models import Reclaim, ReclaimRequest, RemovalCandidate
from subscriptions.reclaims.engine import reclaim_due
from tests.support.fixtures import World, actions, forget_rate_budget
from tests.support.people.keeping import pause


def requested(world: World, alice, count: int) -> ReclaimRequest:
    world.first_download()
    return request_reclaim(world.candidates(count), actor=alice, reason="True-up on Dec 1")


def approved(world: World, alice, bob, count: int) -> ReclaimRequest:
    request = requested(world, alice, count)
    decide.approve(request, actor=bob, comment="Go ahead")
    return request


def people(request: ReclaimRequest) -> set[str]:
    return {removal.evidence["external_id"] for removal in request.removals.all()}


def candidate_of(request: ReclaimRequest) -> RemovalCandidate:
    return request.removals.get().candidate


def test_done(world, alice, bob):
    before = world.inactive()
    request = approved(world, alice, bob, 5)

    tally = reclaim_due(world.profile)

    others = ("restored", "skipped", "refused", "tampered", "held", "in_doubt")
    assert tally.as_dict() == {"reclaimed": 5, **dict.fromkeys(others, 0)}
    assert world.inactive() - before == people(request)
    assert sorted(world.deactivated_by_us()) == sorted(people(request))
    for removal in request.removals.all():
        assert (removal.candidate.state, removal.candidate.close_reason) == ("closed_complete", "reclaimed")
        item = removal.reclaim
        assert (item.state, item.http_status, item.read_back) == ("done", 200, "inactive")
        assert removal.candidate.subscription.active is False
        assert removal.candidate.subscription.recheck_snapshots.filter(active=True).count() == 1
    assert actions().count("reclaim.sending") == actions().count("reclaim.done") == 5
    assert reclaim_due(world.profile).as_dict()["reclaimed"] == 0
    assert len(world.deactivated_by_us()) == 5


def test_the_next_download_agrees_with_what_was_reclaimed(world, alice, bob):
    request = approved(world, alice, bob, 3)
    reclaim_due(world.profile)

    run = world.download()

    assert run.gone == 0
    for removal in request.removals.all():
        assert removal.candidate.subscription.verdict == "deactivated"


def test_came_back(world, alice, bob):
    request = approved(world, alice, bob, 1)
    [external_id] = people(request)
    world.miro.change(external_id, last_activity_at="now")

    tally = reclaim_due(world.profile)

    assert tally.skipped == 1
    assert external_id not in world.inactive()
    assert world.deactivated_by_us() == []
    candidate = candidate_of(request)
    assert (candidate.state, candidate.close_reason) == ("closed_canceled", "active_again")
    assert Reclaim.objects.get().state == "skipped"
    assert "Active lately" in Reclaim.objects.get().outcome
    assert "reclaim.sending" not in actions()
    assert "reclaim.skipped" in actions()


def test_came_back_is_sent_when_the_look_again_is_switched_off(world, alice, bob, monkeypatch):
    """The control: without the look again, the person who came back is locked out."""
    from subscriptions.reclaims import engine
    from subscriptions.reclaims.recheck import Decision

    request = approved(world, alice, bob, 1)
    [external_id] = people(request)
    world.miro.change(external_id, last_activity_at="now")
    monkeypatch.setattr(
        engine, "recheck", lambda profile, items, connector: {item.pk: Decision(True, "") for item in items}
    )

    reclaim_due(world.profile)

    assert external_id in world.inactive()


def test_refused_by_miro(world, alice, bob):
    without_team_scope(world)
    world.first_download()
    external_id = last_team_admin(world)
    chosen = RemovalCandidate.objects.filter(subscription__external_id=external_id)
    request = request_reclaim(chosen, actor=alice)
    decide.approve(request, actor=bob)

    tally = reclaim_due(world.profile)

    assert tally.refused == 1
    assert external_id not in world.inactive()
    candidate = candidate_of(request)
    assert candidate.state == "attention_required"
    assert candidate.attention.startswith("Miro refused: ")
    assert Reclaim.objects.get().state == "failed"
    assert Reclaim.objects.get().http_status == 409
    assert "reclaim.failed" in actions()

    resume(candidate, actor=alice)
    candidate.refresh_from_db()
    assert candidate.state == "ready"
    assert reclaim_due(world.profile).reclaimed == 0


@pytest.mark.parametrize("fault", ["error_after", "truncated", "cut"])
def test_lost_answer_of_a_deactivation_that_was_done(world, alice, bob, fault):
    request = approved(world, alice, bob, 1)
    [external_id] = people(request)
    world.miro.fault(fault, match={"method": "PATCH"}, **({"after": True} if fault == "cut" else {}))

    tally = reclaim_due(world.profile)

    assert tally.reclaimed == 1
    assert world.deactivated_by_us() == [external_id]
    candidate = candidate_of(request)
    assert (candidate.state, candidate.close_reason) == ("closed_complete", "confirmed_later")
    done = actions()
    assert done.index("reclaim.sending") < done.index("reclaim.in_doubt") < done.index("reclaim.done")


def test_lost_answer_of_a_deactivation_that_was_not_done(world, alice, bob, read_again_at_once):
    request = approved(world, alice, bob, 1)
    world.miro.fault("error_before", match={"method": "PATCH"})

    tally = reclaim_due(world.profile)

    assert tally.in_doubt == 1
    assert candidate_of(request).state == "awaiting_revocation"
    assert sweep.read_back_doubts(world.profile) == 1
    candidate = candidate_of(request)
    assert candidate.state == "attention_required"
    assert "does not send again by itself" in candidate.attention
    assert Reclaim.objects.get().state == "in_doubt"
    assert Reclaim.objects.get().read_back == "active"
    assert patches(world) == 1

    reclaim_due(world.profile)
    sweep.read_back_doubts(world.profile)
    assert patches(world) == 1


def test_an_answer_that_makes_no_sense_is_a_doubt_and_not_a_reason_to_send_again(world, alice, bob, monkeypatch):
    request = approved(world, alice, bob, 1)
    deactivate = MiroConnector.deactivate

    def garbled(self, external_id):
        deactivate(self, external_id)
        raise BadAnswer("Miro's answer names somebody else.")

    monkeypatch.setattr(MiroConnector, "deactivate", garbled)

    assert reclaim_due(world.profile).reclaimed == 1
    assert candidate_of(request).close_reason == "confirmed_later"
    assert patches(world) == 1


def test_a_failing_look_does_not_count_as_a_look(world, alice, bob, read_again_at_once, no_validation):
    request = approved(world, alice, bob, 1)
    world.miro.fault("error_before", match={"method": "PATCH"})
    world.miro.fault("error_before", match={"method": "GET", "path": "/Users/"}, times=-1)
    reclaim_due(world.profile)
    sweep.read_back_doubts(world.profile)
    assert (Reclaim.objects.get().reads, Reclaim.objects.get().read_back) == (0, "")
    world.miro.clear_faults()

    sweep.read_back_doubts(world.profile)
    assert candidate_of(request).state == "awaiting_revocation"
    sweep.read_back_doubts(world.profile)
    assert candidate_of(request).state == "attention_required"


def test_what_is_known_to_have_done_nothing_is_sent_again(world, alice, bob, settings):
    request = approved(world, alice, bob, 1)
    world.miro.fault("rate_limited", match={"method": "PATCH"})

    assert reclaim_due(world.profile).held == 1
    assert Reclaim.objects.get().hold_reason == "later"
    Reclaim.objects.update(not_before=None)
    forget_rate_budget(settings)

    assert reclaim_due(world.profile).reclaimed == 1
    assert world.deactivated_by_us() == list(people(request))
    assert actions().index("reclaim.requeued") < actions().index("reclaim.done")


@pytest.mark.usefixtures("read_again_at_once", "no_validation")
def test_somebody_reactivated_while_in_doubt_is_not_deactivated_again(world, alice, bob):
    request = approved(world, alice, bob, 1)
    [external_id] = people(request)
    world.miro.fault("error_after", match={"method": "PATCH"})
    world.miro.fault("error_before", match={"method": "GET", "path": "/Users/"}, times=3)
    reclaim_due(world.profile)
    world.miro.change(external_id, active=True)

    sweep.read_back_doubts(world.profile)
    sweep.read_back_doubts(world.profile)
    reclaim_due(world.profile)

    assert external_id not in world.inactive()
    assert patches(world) == 1
    assert candidate_of(request).state == "attention_required"


def test_rejected(world, alice, bob):
    request = requested(world, alice, 3)

    decide.reject(request, actor=bob, comment="They are on parental leave", keep=pause())

    assert reclaim_due(world.profile).reclaimed == 0
    assert world.deactivated_by_us() == []
    for removal in request.removals.all():
        candidate = removal.candidate
        assert (candidate.state, candidate.close_reason) == ("closed_skipped", "rejected")
        assert candidate.subscription.verdict == "cooling_down"
    assert actions().count("request.rejected") == 1
    world.download()
    again = RemovalCandidate.objects.open().filter(subscription__external_id__in=people(request))
    assert not again.exists(), "cooling down"


def test_lapsed(world, alice, bob, settings):
    settings.APPROVAL_VALIDITY = timedelta(0)
    request = approved(world, alice, bob, 2)

    tally = reclaim_due(world.profile)

    assert tally.skipped == 2
    assert world.deactivated_by_us() == []
    for removal in request.removals.all():
        assert removal.candidate.state == "ready"
        assert "lapsed" in removal.reclaim.outcome
    assert "reclaim.sending" not in actions()


def test_not_decided_in_time(world, alice, bob):
    request = requested(world, alice, 2)
    ReclaimRequest.objects.filter(pk=request.pk).update(expires_at=timezone.now() - timedelta(seconds=1))

    with pytest.raises(NotActionable, match="expired on"):
        decide.approve(request, actor=bob)
    sweep.repair()

    request.refresh_from_db()
    assert request.state == "expired"
    assert {removal.candidate.state for removal in request.removals.all()} == {"ready"}
    assert world.deactivated_by_us() == []


def test_her_own_request(world, alice):
    request = requested(world, alice, 1)

    with pytest.raises(OwnRequest, match="Another person"):
        decide.approve(request, actor=alice)

    request.refresh_from_db()
    assert request.state == "open"
    assert not Reclaim.objects.exists()


def without_team_scope(world: World) -> None:
    """With it, the only admin of a team never becomes a candidate."""
    world.miro.set_toggles(scopes=["organizations:read"])


def last_team_admin(world: World) -> str:
    """A candidate without whom a team would have no admin: Miro refuses to deactivate such a person."""
    ready = RemovalCandidate.objects.filter(state="ready").values_list("subscription__external_id", flat=True)
    return next(found for found in ready if world.sandbox.world.teams_without_other_admin(found))


def patches(world: World) -> int:
    return sum(1 for request in world.miro.requests() if request["method"] == "PATCH")
