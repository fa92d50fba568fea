"""Two users or workers at the same moment: approve, claim and close happen once."""

from __future__ import annotations

import threading

import pytest
from django.contrib.auth.models import User
from django.db import connection, transaction

from licensehub.audit.models import AuditEvent
from subscriptions.approvals import closing, decide
from subscriptions.approvals.request import request_reclaim
from subscriptions.errors import NotActionable
from subscriptions.models import (
    CandidateState,
    Reclaim,
    ReclaimRequest,
    RemovalCandidate,
)
from subscriptions.reclaims.engine import claim
from tests.support.database.locks import wait_until_somebody_waits
from tests.support.fixtures import person


def test_workers_that_claim_at_once_share_the_work(real_transactions, world, alice, bob):
    world.download()
    decide.approve(request_reclaim(world.candidates(12), actor=alice, reason="True-up"), actor=bob)
    taken: list[int] = []

    def work() -> None:
        while items := claim(world.profile, count=2):
            taken.extend(item.pk for item in items)
        connection.close()

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert sorted(taken) == sorted(Reclaim.objects.values_list("pk", flat=True))
    assert not Reclaim.objects.filter(state="queued").exists()


def test_two_approvers_at_once(real_transactions, world, alice, bob):
    """Real transactions on real connections: exactly one of them decides."""
    world.download()
    eve = person("eve", "Approver")
    request = request_reclaim(world.candidates(3), actor=alice, reason="True-up")
    outcomes = []

    def try_to_approve(actor: User) -> None:
        try:
            decide.approve(ReclaimRequest.objects.get(pk=request.pk), actor=actor)
            outcomes.append("approved")
        except NotActionable:
            outcomes.append("too late")
        finally:
            connection.close()

    threads = [threading.Thread(target=try_to_approve, args=(actor,)) for actor in (bob, eve) * 4]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert sorted(outcomes) == ["approved"] + ["too late"] * 7
    assert Reclaim.objects.count() == 3
    assert AuditEvent.objects.filter(action="request.approved").count() == 1
    assert not RemovalCandidate.objects.filter(state=CandidateState.AWAITING_APPROVAL).exists()


@pytest.mark.skipif(connection.vendor != "postgresql", reason="SQLite has one writer at a time")
def test_a_candidate_that_closes_while_its_request_ends_does_not_become_ready(real_transactions, world, alice):
    world.download()
    request = request_reclaim(world.candidates(2), actor=alice, reason="True-up")
    closed, returned = (person.candidate_id for person in request.removals.all())

    def withdraw() -> None:
        closing.cancel(ReclaimRequest.objects.get(pk=request.pk), actor=alice)
        connection.close()

    with transaction.atomic():
        RemovalCandidate.objects.filter(pk=closed).update(state="closed_canceled", close_reason="active_again")
        ending = threading.Thread(target=withdraw)
        ending.start()
        wait_until_somebody_waits()
    ending.join(20)

    assert RemovalCandidate.objects.get(pk=closed).state == "closed_canceled"
    assert RemovalCandidate.objects.get(pk=returned).state == "ready"
    assert [event.target_id for event in AuditEvent.objects.filter(action="candidate.returned")] == [returned]
