"""Acts on many people at once, in batches: nobody is left out, nobody is taken twice, and all hold what one would."""

from __future__ import annotations

import threading
from datetime import UTC, datetime

import pytest
from django.contrib.auth.models import User
from django.db import connection, transaction
from django.db.models import QuerySet

from licensehub.audit.models import AuditEvent
from subscriptions.approvals import closing, decide
from subscriptions.approvals.request import request_reclaim
from subscriptions.bulk_sql import read
from subscriptions.candidates import propose
from subscriptions.candidates.propose import propose_candidates
from subscriptions.eligibility.clauses import explain
from subscriptions.eligibility.terms import Terms, current_terms
from subscriptions.errors import NotActionable
from subscriptions.models import (
    Notice,
    Reclaim,
    ReclaimRequest,
    ReclaimRule,
    RemovalCandidate,
    RequestedRemoval,
    Subscription,
)
from subscriptions.reclaims import enqueue
from subscriptions.reclaims.signed.signatures import is_signed, sign
from tests.support.audit_chain import verify_chain
from tests.support.database.locks import wait_until_somebody_waits


@pytest.fixture
def downloaded(world, monkeypatch):
    monkeypatch.setattr(propose, "BATCH", 2)
    monkeypatch.setattr(enqueue, "BATCH", 2)
    world.download()
    return world


def ask(world, alice, count: int = 5) -> ReclaimRequest:
    return request_reclaim(world.candidates(count), actor=alice, reason="True-up")


def test_everybody_is_proposed_once(downloaded):
    evaluated = Subscription.objects.candidates().values_list("pk", flat=True)
    opened = RemovalCandidate.objects.open().values_list("subscription", flat=True)

    assert len(evaluated) > propose.BATCH
    assert sorted(opened) == sorted(evaluated)
    assert AuditEvent.objects.filter(action="candidate.proposed").count() == len(evaluated)
    assert verify_chain().findings == []


def test_proposing_again_opens_nobody(downloaded):
    assert propose_candidates(downloaded.profile.download_runs.get()) == 0


def test_the_evidence_is_what_the_row_and_the_rule_say(downloaded):
    run, terms = downloaded.profile.download_runs.get(), current_terms(downloaded.profile.pk)
    for candidate in RemovalCandidate.objects.select_related("subscription"):
        row, evidence = candidate.subscription, candidate.evidence
        for name in ("external_id", "name", "email", "department", "license", "role"):
            assert evidence[name] == getattr(row, name)
        for name in ("last_activity_at", "license_assigned_at", "facts_at"):
            moment = getattr(row, name)
            assert evidence[name] == (moment.isoformat() if moment else None)
        assert evidence["why"] == explain(row, terms)
        assert f"Inactive {evidence['idle_days']} days" in evidence["why"]
        assert evidence["run"] == candidate.run_id == run.pk
        assert Terms.from_json(evidence["terms"]) == terms


def test_the_audit_names_each_candidate(downloaded):
    for event in AuditEvent.objects.filter(action="candidate.proposed"):
        candidate = RemovalCandidate.objects.get(pk=event.target_id)
        assert event.target_label == str(candidate)
        assert event.data == {"why": candidate.evidence["why"]}


def test_a_request_takes_exactly_who_was_chosen(downloaded, alice):
    chosen = set(downloaded.candidates(5).values_list("pk", flat=True))
    request = ask(downloaded, alice)

    assert set(request.removals.values_list("candidate", flat=True)) == chosen
    assert set(RemovalCandidate.objects.filter(state="awaiting_approval").values_list("pk", flat=True)) == chosen
    for person in request.removals.select_related("candidate"):
        assert person.evidence == person.candidate.evidence
        assert (person.answer, person.drop_reason) == ("", "")
    assert AuditEvent.objects.get(action="request.opened").data["people"] == 5


def test_who_closes_while_a_request_waits_is_not_in_it(real_transactions, world, alice):
    """The request waits for the row of the one who closes, and then looks at it once more."""
    world.download()
    chosen = world.candidates(5)
    closing = chosen.first()
    requesting = threading.Thread(target=_request, args=(chosen, alice))

    with transaction.atomic():
        RemovalCandidate.objects.filter(pk=closing.pk).update(state="closed_canceled", close_reason="active_again")
        requesting.start()
        if connection.vendor == "postgresql":  # SQLite has one writer: there the thread cannot but wait
            wait_until_somebody_waits()
    requesting.join()

    assert ReclaimRequest.objects.get().removals.count() == 4
    closing.refresh_from_db()
    assert closing.state == "closed_canceled"
    assert not closing.removals.exists()


def _request(chosen: QuerySet[RemovalCandidate], actor: User) -> None:
    try:
        request_reclaim(chosen, actor=actor)
    finally:
        connection.close()


def test_who_is_asked_is_asked_at_the_address_of_the_evidence(downloaded, alice):
    ReclaimRule.objects.update(notify_user=True)
    request = ask(downloaded, alice)

    assert {(notice.removal_id, notice.email, notice.kind) for notice in Notice.objects.all()} == {
        (person.pk, person.evidence["email"], "ask") for person in request.removals.all()
    }
    assert RemovalCandidate.objects.filter(state="awaiting_user").count() == 5


def test_an_approval_seals_and_queues_each(downloaded, alice, bob):
    request = ask(downloaded, alice)

    assert decide.approve(request, actor=bob) == 5

    people = request.removals.select_related("reclaim", "candidate", "request")
    assert [is_signed(person.reclaim) for person in people] == [True] * 5
    assert [person.reclaim.subscription_id for person in people] == [
        person.candidate.subscription_id for person in people
    ]
    assert {(one.state, one.direction, one.profile_id) for one in Reclaim.objects.all()} == {
        ("queued", "deactivate", downloaded.profile.pk)
    }


def test_one_approval_is_one_act_in_the_audit(downloaded, alice, bob):
    decide.approve(ask(downloaded, alice), actor=bob)

    events = AuditEvent.objects.filter(action="reclaim.queued")
    named = {(one.pk, one.removal.evidence["name"] or one.removal.evidence["email"]) for one in Reclaim.objects.all()}
    assert {(event.target_id, event.target_label) for event in events} == named
    assert len({event.correlation for event in events}) == 1
    assert verify_chain().findings == []


def test_who_was_dropped_is_neither_sealed_nor_queued(downloaded, alice, bob):
    request = ask(downloaded, alice)
    dropped = request.removals.all()[2]
    closing.drop(dropped, actor=bob, reason="On leave")

    assert decide.approve(request, actor=bob) == 4

    assert not Reclaim.objects.filter(removal=dropped).exists()


def test_an_approval_that_misses_somebody_changes_nothing(downloaded, alice, bob, monkeypatch):
    request = ask(downloaded, alice)
    monkeypatch.setattr(decide, "enqueue", lambda *args, **kwargs: 4)

    with pytest.raises(NotActionable, match="have just changed"):
        decide.approve(request, actor=bob)

    request.refresh_from_db()
    assert request.state == "open"
    assert RemovalCandidate.objects.filter(state="awaiting_approval").count() == 5


def test_what_was_approved_years_ago_still_fits(settings):
    """Computed once and written down: a signature that is made in another way would void every approval there is."""
    settings.APPROVAL_KEY = "key-of-the-year-before"
    request = ReclaimRequest(
        pk=41,
        direction="deactivate",
        requested_by_id=1,
        decided_by_id=2,
        cap=50,
        valid_until=datetime(2026, 1, 2, 3, 4, 5, 678, tzinfo=UTC),
    )
    evidence = {
        "name": 'Zoë \x7f "Müller" 😀',
        "email": "z@x.example",
        "idle_days": 90,
        "terms": {"threshold": 60, "by_license": {"full": 30}},
        "a": None,
    }
    person = RequestedRemoval(pk=51, request=request, candidate_id=61, evidence=evidence)

    assert sign(person, request) == "59d35e2acf6f34c17ec1bfd3d14d893577f47e87271d434d68fb4e3f55b1444b"


def test_rows_are_read_as_django_reads_them(downloaded):
    rows = Subscription.objects.order_by("pk").values_list("pk", "name", "last_activity_at", "active", "facts_at")
    found = read(rows)
    assert found == list(rows)
    assert [row[4].isoformat() for row in found] == [row[4].isoformat() for row in rows]
    assert any(row[2] is None for row in found)
