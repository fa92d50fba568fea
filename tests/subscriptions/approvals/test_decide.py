"""Request, approve, reject, drop: the second person, once, and only what was frozen."""

from __future__ import annotations

import uuid
from datetime import timedelta

import pytest
from django.contrib.auth.models import User
from django.db import IntegrityError, transaction
from django.utils import timezone

from integrations.models import IntegrationProfile, SendingControl
from licensehub.audit.models import AuditEvent
from subscriptions.approvals import closing, decide
from subscriptions.approvals.request import request_reclaim
from subscriptions.candidates.withdraw import withdraw
from subscriptions.eligibility.evaluate import evaluate_profile
from subscriptions.errors import ConcernsYou, NotActionable, OwnRequest, Refused
from subscriptions.models import (
    Evaluation,
    Reclaim,
    ReclaimRequest,
    ReclaimRule,
    RemovalCandidate,
    RequestedRemoval,
)
from subscriptions.profiles import lifecycle
from subscriptions.reclaims import engine
from subscriptions.reclaims.engine import reclaim_due
from subscriptions.schedules.working_days import add_working_days
from tests.support.people.keeping import pause


@pytest.fixture
def downloaded(world):
    world.first_download()
    return world


def ask(world, alice, count: int = 3) -> ReclaimRequest:
    return request_reclaim(world.candidates(count), actor=alice, reason="True-up")


def test_a_request_freezes_its_people(downloaded, alice):
    request = ask(downloaded, alice)

    assert request.removals.count() == 3
    for removal in request.removals.all():
        assert removal.candidate.state == "awaiting_approval"
        assert removal.evidence == removal.candidate.evidence
        assert removal.evidence["why"].startswith("Inactive ")
    assert request.expires_at == add_working_days(request.requested_at, 3)


def test_two_requests_never_share_a_person(downloaded, alice):
    chosen = downloaded.candidates(3)
    ask(downloaded, alice)

    with pytest.raises(NotActionable, match="nothing to request"):
        request_reclaim(chosen, actor=alice)

    assert ReclaimRequest.objects.count() == 1


def test_approving_twice(downloaded, alice, bob):
    request = ask(downloaded, alice)
    decide.approve(request, actor=bob)

    with pytest.raises(NotActionable, match="approved already by bob"):
        decide.approve(request, actor=bob)

    assert Reclaim.objects.count() == 3


def test_nobody_decides_on_their_own_request_superusers_included(downloaded):
    root = User.objects.create_superuser("root", "root@northwind.example", "a long password of root")
    request = ask(downloaded, root)

    with pytest.raises(OwnRequest):
        decide.approve(request, actor=root)
    with pytest.raises(OwnRequest):
        decide.reject(request, actor=root, comment="no")


def test_the_database_holds_the_second_person_too(downloaded, alice):
    request = ask(downloaded, alice)

    with pytest.raises(IntegrityError), transaction.atomic():
        ReclaimRequest.objects.filter(pk=request.pk).update(
            state="approved", decided_by=alice, decided_at=timezone.now(), valid_until=timezone.now()
        )


def test_the_person_reclaimed_neither_asks_nor_approves(downloaded, alice, bob):
    email = downloaded.candidates(1).get().evidence["email"]
    User.objects.filter(pk=alice.pk).update(email=email.upper())
    alice.refresh_from_db()
    with pytest.raises(ConcernsYou):
        ask(downloaded, alice)
    assert not ReclaimRequest.objects.exists()

    request = ask(downloaded, bob)
    with pytest.raises(ConcernsYou):
        decide.approve(request, actor=alice)
    request.refresh_from_db()
    assert (request.state, request.decided_by) == ("open", None)


def test_who_leaves_a_request_is_named_in_the_history(downloaded, alice, bob):
    request = ask(downloaded, alice)
    nameless = request.removals.first().candidate
    nameless.evidence["name"] = ""
    nameless.save()
    people = {str(person.candidate) for person in request.removals.all()}
    assert nameless.evidence["email"] in people

    decide.reject(request, actor=bob, comment="Not now", keep=pause())

    events = AuditEvent.objects.filter(action="candidate.closed")
    assert {event.target_label for event in events} == people
    assert [event.data for event in events] == [{"reason": "rejected"}] * 3
    assert len({event.correlation for event in events}) == 1


def test_rejecting_needs_a_word(downloaded, alice, bob):
    request = ask(downloaded, alice)

    with pytest.raises(Refused, match="few words"):
        decide.reject(request, actor=bob, comment="  ")


def test_a_dropped_person_is_not_sent(downloaded, alice, bob):
    request = ask(downloaded, alice)
    dropped = request.removals.first()
    closing.drop(dropped, actor=bob, reason="On leave", keep=pause())

    assert decide.approve(request, actor=bob) == 2

    reclaim_due(downloaded.profile)
    assert dropped.evidence["external_id"] not in downloaded.inactive()
    dropped.candidate.refresh_from_db()
    assert (dropped.candidate.state, dropped.candidate.close_reason) == ("closed_skipped", "dropped")
    with pytest.raises(NotActionable):
        closing.drop(request.removals.last(), actor=bob, reason="Too late")


def test_nobody_left(downloaded, alice, bob):
    request = ask(downloaded, alice, 1)
    closing.drop(request.removals.get(), actor=bob, reason="On leave")

    with pytest.raises(NotActionable, match="Nobody is left"):
        decide.approve(request, actor=bob)
    request.refresh_from_db()
    assert request.state == "open"

    assert closing.end_empty_requests() == 1
    with pytest.raises(NotActionable, match="Nobody is left"):
        decide.approve(request, actor=bob)


def test_only_the_requester_withdraws(downloaded, alice, bob):
    request = ask(downloaded, alice)
    with pytest.raises(Refused, match="Only the person"):
        closing.cancel(request, actor=bob)

    closing.cancel(request, actor=alice)

    assert downloaded.candidates(99).filter(removals__request=request).count() == 3
    with pytest.raises(NotActionable):
        decide.approve(request, actor=bob)


@pytest.mark.parametrize(
    "change",
    [
        {"evidence": {"why": "because"}},
        {"signature": "0" * 64},
    ],
)
def test_a_forged_approval_is_never_sent(downloaded, alice, bob, change):
    request = ask(downloaded, alice, 1)
    decide.approve(request, actor=bob)
    removal = request.removals.get()
    if "evidence" in change:
        request.removals.update(evidence={**removal.evidence, **change["evidence"]})
    else:
        Reclaim.objects.update(**change)

    assert reclaim_due(downloaded.profile).tampered == 1

    assert downloaded.deactivated_by_us() == []
    removal.candidate.refresh_from_db()
    assert removal.candidate.state == "attention_required"
    assert "signature" in Reclaim.objects.get().outcome


def test_a_prolonged_approval_is_never_sent(downloaded, alice, bob):
    request = ask(downloaded, alice, 1)
    decide.approve(request, actor=bob)
    ReclaimRequest.objects.update(valid_until=timezone.now() + timedelta(days=99))

    assert reclaim_due(downloaded.profile).tampered == 1
    assert downloaded.deactivated_by_us() == []


def test_a_stricter_rule_after_the_approval_keeps_people(downloaded, alice, bob):
    request = ask(downloaded, alice, 1)
    decide.approve(request, actor=bob)
    ReclaimRule.objects.update(last_activity_threshold=3000, version=2)

    assert reclaim_due(downloaded.profile).skipped == 1

    assert downloaded.deactivated_by_us() == []
    candidate = request.removals.get().candidate
    assert (candidate.state, candidate.close_reason) == ("closed_skipped", "rule_changed")


def test_what_an_earlier_version_froze_is_still_sent(downloaded, alice, bob):
    """A field of the rule that was added since then is not in the evidence of the people who are approved already."""
    for candidate in downloaded.candidates(1):
        del candidate.evidence["terms"]["grace"]
        candidate.save()
    decide.approve(ask(downloaded, alice, 1), actor=bob)
    assert "grace" not in RequestedRemoval.objects.get().evidence["terms"]

    assert reclaim_due(downloaded.profile).reclaimed == 1


def test_a_looser_rule_after_the_approval_takes_nobody_more(downloaded, alice, bob):
    """Back 45 days ago: inactive by the rule of today, active by the one that was approved."""
    request = ask(downloaded, alice, 1)
    decide.approve(request, actor=bob)
    back = (timezone.now() - timedelta(days=45)).isoformat()
    downloaded.miro.change(request.removals.get().evidence["external_id"], last_activity_at=back)
    ReclaimRule.objects.update(last_activity_threshold=30, version=2)

    assert reclaim_due(downloaded.profile).skipped == 1

    assert downloaded.deactivated_by_us() == []
    assert request.removals.get().candidate.close_reason == "active_again"


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"license": "standard"}, "license_changed"),
        ({"license": "free"}, "license_changed"),
        ({"role": "organization_internal_admin"}, "role_changed"),
        ({"removed": True}, "gone"),
    ],
)
def test_who_is_no_longer_what_was_approved_is_not_sent(downloaded, alice, bob, change, reason):
    request = ask(downloaded, alice, 1)
    decide.approve(request, actor=bob)
    downloaded.miro.change(request.removals.get().evidence["external_id"], **change)

    assert reclaim_due(downloaded.profile).skipped == 1

    assert downloaded.deactivated_by_us() == []
    candidate = request.removals.get().candidate
    assert (candidate.state, candidate.close_reason) == ("closed_skipped", reason)


def test_a_newer_rule_withdraws_who_is_not_approved_yet(downloaded, alice):
    request = ask(downloaded, alice, 2)
    ReclaimRule.objects.update(last_activity_threshold=3000, version=2)
    evaluate_profile(downloaded.profile)

    withdraw(downloaded.profile.pk)

    assert not RemovalCandidate.objects.open().exists()
    assert {removal.candidate.close_reason for removal in request.removals.all()} == {"rule_changed"}


@pytest.mark.parametrize("switch", ["pause", "reclaim_off"])
def test_switches_refuse_requests_and_approvals(downloaded, alice, bob, switch):
    request = ask(downloaded, alice, 1)
    if switch == "pause":
        lifecycle.pause(downloaded.profile, actor=bob)
    else:
        type(downloaded.profile).objects.update(reclaim_enabled=False)

    with pytest.raises(Refused):
        decide.approve(request, actor=bob)
    with pytest.raises(Refused):
        ask(downloaded, alice, 1)


def test_stopped_sending_holds_and_loses_nothing(downloaded, alice, bob):
    request = ask(downloaded, alice, 2)
    decide.approve(request, actor=bob)
    lifecycle.stop_sending(downloaded.profile, actor=bob)

    assert reclaim_due(downloaded.profile).held == 2
    assert {item.hold_reason for item in Reclaim.objects.all()} == {"sending_stopped"}
    assert downloaded.deactivated_by_us() == []

    lifecycle.allow_sending(downloaded.profile, actor=bob)
    assert reclaim_due(downloaded.profile).reclaimed == 2


@pytest.mark.parametrize(
    ("model", "change"),
    [
        (IntegrationProfile, {"sending_stopped": True}),
        (IntegrationProfile, {"state": "paused"}),
        (IntegrationProfile, {"reclaim_enabled": False}),
        (SendingControl, {"stopped": True}),
        (SendingControl, {"held_at": timezone.now()}),
        (Reclaim, {"lease_until": timezone.now() - timedelta(seconds=1)}),
        (Reclaim, {"token": uuid.uuid4()}),
        (Reclaim, {"state": "sending"}),
        (RequestedRemoval, {"dropped_at": timezone.now()}),
        (ReclaimRequest, {"valid_until": timezone.now()}),
    ],
)
def test_what_changes_after_the_look_still_stops_the_send(downloaded, alice, bob, monkeypatch, model, change):
    """The UPDATE that commits the intent asks once more, in the last moment."""
    decide.approve(ask(downloaded, alice, 1), actor=bob)
    recheck = engine.recheck

    def changed_meanwhile(*args):
        decisions = recheck(*args)
        model.objects.update(**change)
        return decisions

    monkeypatch.setattr(engine, "recheck", changed_meanwhile)

    reclaim_due(downloaded.profile)

    assert downloaded.deactivated_by_us() == []
    assert not AuditEvent.objects.filter(action="reclaim.sending").exists()


def test_a_candidate_that_is_gone_already(downloaded, alice):
    chosen = downloaded.candidates(1)
    Evaluation.objects.filter(subscription__candidates__in=chosen).update(verdict="active")
    withdraw(downloaded.profile.pk)

    with pytest.raises(NotActionable, match="nothing to request"):
        request_reclaim(chosen, actor=alice)
