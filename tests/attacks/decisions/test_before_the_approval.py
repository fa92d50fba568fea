"""Somebody with the database changes a request before its approval: it cannot be approved then, and nothing is sent."""

from __future__ import annotations

import json

import pytest
from django.contrib.auth.models import User

from licensehub.audit.models import AuditEvent
from subscriptions.approvals import closing, decide, undo
from subscriptions.approvals.request import file_automatically, raise_cap, request_reclaim
from subscriptions.candidates.request_digest import is_as_signed, people_of, rows_of, signed_digests
from subscriptions.errors import ChangedOutside, NotActionable
from subscriptions.models import Reclaim, ReclaimRequest, ReclaimRule, RemovalCandidate, RequestedRemoval
from subscriptions.reclaims.engine import reclaim_due
from subscriptions.reclaims.signed.signatures import is_signed
from tests.support.attacks import attack, insert_person
from tests.support.fixtures import person
from tests.support.people.organization import seen

REQUEST = "UPDATE subscriptions_reclaimrequest SET {} WHERE id = %s"
PERSON = "UPDATE subscriptions_requestedremoval SET {} WHERE id = %s"


def others() -> RemovalCandidate:
    """A candidate whom nobody has requested."""
    return RemovalCandidate.objects.filter(removals=None).order_by("pk").first()


def falsified(person: RequestedRemoval, **facts: object) -> str:
    return json.dumps({**person.evidence, **facts})


def exchange(request: ReclaimRequest) -> None:
    other = others()
    attack(PERSON.format("candidate_id = %s, evidence = %s"), other.pk, json.dumps(other.evidence), first(request).pk)
    attack("UPDATE subscriptions_removalcandidate SET state = 'awaiting_approval' WHERE id = %s", other.pk)


def insert(request: ReclaimRequest) -> None:
    other = others()
    insert_person(request.pk, first(request), other.pk)
    attack("UPDATE subscriptions_removalcandidate SET state = 'awaiting_approval' WHERE id = %s", other.pk)


def first(request: ReclaimRequest) -> RequestedRemoval:
    return request.removals.order_by("pk").first()


def redirect(request: ReclaimRequest) -> None:
    """The subscription of a candidate becomes another person of the vendor."""
    row = first(request).candidate.subscription
    attack("UPDATE subscriptions_subscription SET external_id = '999' WHERE id = %s", row.pk)


ATTACKS = {
    "a person inserted": insert,
    "a person exchanged": exchange,
    "evidence falsified": lambda request: attack(
        PERSON.format("evidence = %s"), falsified(first(request), idle_days=900), first(request).pk
    ),
    "evidence that is no object": lambda request: attack(PERSON.format("evidence = %s"), "[]", first(request).pk),
    "evidence without its facts": lambda request: attack(PERSON.format("evidence = %s"), "{}", first(request).pk),
    "the vendor's id of a person exchanged": redirect,
    "a person marked as dropped": lambda request: attack(
        PERSON.format("dropped_at = '2026-01-01 00:00:00+00:00'"), first(request).pk
    ),
    "an answer forged": lambda request: attack(
        PERSON.format("answer = 'release', answered_at = '2026-01-01 00:00:00+00:00'"), first(request).pk
    ),
    "requester replaced": lambda request: attack(
        REQUEST.format("requested_by_id = %s"), User.objects.get(username="carol").pk, request.pk
    ),
    "requester emptied": lambda request: attack(REQUEST.format("requested_by_id = NULL"), request.pk),
    "cap raised": lambda request: attack(REQUEST.format("cap = 999"), request.pk),
    "reason exchanged": lambda request: attack(REQUEST.format("reason = 'Agreed with the board'"), request.pk),
}


@pytest.mark.parametrize("name", ATTACKS)
def test_a_changed_request_is_not_approved(name, world, alice, bob, carol):
    world.first_download()
    request = request_reclaim(world.candidates(3), actor=alice, reason="True-up")
    assert is_as_signed(request, rows_of(request))
    ATTACKS[name](request)
    for _ in range(2):
        with pytest.raises(ChangedOutside, match="differs from what was requested"):
            decide.approve(ReclaimRequest.objects.get(pk=request.pk), actor=bob)
    assert AuditEvent.objects.filter(action="request.tampered", target_id=request.pk).count() == 1
    reclaim_due(world.profile)
    assert not Reclaim.objects.exists()
    assert world.deactivated_by_us() == []
    # It can be rejected, and what was falsified is not signed by that.
    row = ReclaimRequest.objects.get(pk=request.pk)
    decide.reject(row, actor=bob, comment="Somebody has changed it")
    if name != "an answer forged":
        row.refresh_from_db()
        assert not is_as_signed(row, rows_of(row))


@pytest.mark.parametrize("reads_again", [False, True], ids=["read once", "the control: read again"])
def test_evidence_that_changes_after_the_comparison_is_not_signed(reads_again, world, alice, bob, monkeypatch):
    world.first_download()
    request = request_reclaim(world.candidates(2), actor=alice, reason="True-up")
    move_on, enqueue = decide._move_on, decide.enqueue

    def change_after_it(people, now):
        move_on(people, now)
        evidence = RequestedRemoval.objects.get(pk=first(request).pk).evidence
        RequestedRemoval.objects.filter(pk=first(request).pk).update(evidence={**evidence, "idle_days": 999})

    monkeypatch.setattr(decide, "_move_on", change_after_it)
    if reads_again:
        monkeypatch.setattr(decide, "enqueue", lambda row, people, **given: enqueue(row, list(people_of(row)), **given))
    decide.approve(request, actor=bob)
    assert is_signed(Reclaim.objects.get(removal=first(request))) == reads_again


def test_a_change_by_licensehub_signs_nothing_that_somebody_else_changed(world, alice, bob, carol):
    """The requester is exchanged, then a person is dropped as usual: the event of the drop signs no requester."""
    world.first_download()
    request = request_reclaim(world.candidates(3), actor=alice)
    ATTACKS["requester replaced"](request)
    closing.drop(first(request), actor=bob, reason="On leave")
    with pytest.raises(ChangedOutside):
        decide.approve(ReclaimRequest.objects.get(pk=request.pk), actor=bob)


def test_each_change_by_licensehub_is_signed(world, alice, bob):
    """The control: what LicenseHub itself changes can be approved, and an old page cannot."""
    world.first_download()
    ReclaimRule.objects.update(batch_cap_people=2)
    request = request_reclaim(world.candidates(4), actor=alice, reason="True-up")
    raise_cap(request, actor=person("erin", "Approver"), reason="The whole department has left")
    closing.drop(first(request), actor=bob, reason="On leave")
    closing.drop_by_licensehub(request.removals.not_dropped()[0], reason="Wants to keep the seat.")
    undo.take_back_in(RequestedRemoval.objects.get(pk=first(request).pk), actor=bob, decides=True)
    decide.reject(ReclaimRequest.objects.get(pk=request.pk), actor=bob, comment="Not now")
    undo.take_back_rejection(ReclaimRequest.objects.get(pk=request.pk), actor=bob)
    now = ReclaimRequest.objects.get(pk=request.pk)
    assert is_as_signed(now, rows_of(now))
    with pytest.raises(NotActionable):
        decide.approve(now, actor=bob, digest="0" * 64)
    assert decide.approve(now, actor=bob) == 3


def test_an_empty_requester_is_believed_where_the_event_has_none(world, bob):
    world.first_download()
    ReclaimRule.objects.update(file_requests="automatic")
    request = file_automatically(world.profile)
    assert request is not None
    assert request.requested_by is None
    assert decide.approve(request, actor=bob) > 0


def test_a_forged_event_signs_nothing(world, alice, bob, carol):
    """Somebody changes the requester, and copies the event of the request with the digest of the new rows."""
    world.first_download()
    request = request_reclaim(world.candidates(2), actor=alice)
    ATTACKS["requester replaced"](request)
    new = {**signed_digests(request), "digest": seen(request)["digest"]}
    columns = [field.column for field in AuditEvent._meta.concrete_fields]
    chosen = {"sequence": "sequence + 1000", "data": "%s"}
    values = ", ".join(chosen.get(column, column) for column in columns)
    copied = attack(
        f"INSERT INTO audit_auditevent ({', '.join(columns)}) SELECT {values} FROM audit_auditevent"  # noqa: S608 - names of our own columns
        " WHERE action = 'request.opened'",
        json.dumps(new),
    )
    assert copied == 1
    with pytest.raises(ChangedOutside):
        decide.approve(ReclaimRequest.objects.get(pk=request.pk), actor=bob)
