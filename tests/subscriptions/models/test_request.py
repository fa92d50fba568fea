"""A late *Keep* counts until the send: Python and SQL read the same rule."""

from __future__ import annotations

from datetime import timedelta
from itertools import product

import pytest
from django.db.models import F
from django.utils import timezone

from subscriptions.models import ReclaimRequest, RemovalCandidate, RequestedRemoval, RequestState
from tests.support.data.subscription_rows import make

DECIDED = timezone.now()
ANSWERS = ("", "keep", "release")
ANSWERED = (None, DECIDED - timedelta(seconds=1), DECIDED, DECIDED + timedelta(microseconds=1))
CASES = list(product(ANSWERS, ANSWERED, (None, DECIDED)))


@pytest.fixture
def person(db) -> RequestedRemoval:
    row = make()
    profile = row.profile
    candidate = RemovalCandidate.objects.create(profile=profile, subscription=row, run=row.first_run, evidence={})
    request = ReclaimRequest.objects.create(profile=profile, state=RequestState.OPEN, expires_at=DECIDED)
    return RequestedRemoval.objects.create(request=request, candidate=candidate, evidence={})


def written(person: RequestedRemoval, answer, answered_at, decided_at) -> RequestedRemoval:
    ReclaimRequest.objects.filter(pk=person.request_id).update(decided_at=decided_at)
    RequestedRemoval.objects.filter(pk=person.pk).update(answer=answer, answered_at=answered_at)
    return RequestedRemoval.objects.select_related("request").get(pk=person.pk)


def disagreements(person: RequestedRemoval) -> list[tuple]:
    return [
        case
        for case in CASES
        if written(person, *case).keep_counts
        == RequestedRemoval.objects.without_late_keep().filter(pk=person.pk).exists()
    ]


def test_python_and_sql_agree(person):
    assert disagreements(person) == []


def test_what_counts_is_a_keep_that_the_approver_had_not_seen(person):
    counting = [case for case in CASES if written(person, *case).keep_counts]
    assert counting == [
        case for case in CASES if case[0] == "keep" and (case[2] is None or case[1] is None or case[1] > DECIDED)
    ]


def test_the_control_finds_another_rule(person, monkeypatch):
    """E.g. one in which an answer of the same moment counts."""
    monkeypatch.setattr(
        type(RequestedRemoval.objects.all()),
        "without_late_keep",
        lambda rows: rows.exclude(answer="keep", answered_at__gte=F("request__decided_at")),
    )
    assert disagreements(person)
