"""Writing verdicts: only what differs, by the facts of now, whoever else is writing."""

from __future__ import annotations

import re
import threading
from datetime import timedelta

import pytest
from django.db import connection, connections, transaction
from django.db.models import Count
from django.utils import timezone

from subscriptions.eligibility.clauses import verdict_case
from subscriptions.eligibility.evaluate import evaluate_rows
from subscriptions.models import Evaluation, Subscription, Verdict
from tests.support.data.subscription_rows import TERMS, days_ago, make
from tests.support.database.locks import wait_until_somebody_waits


def verdict_of(row: Subscription) -> Verdict:
    return Subscription.objects.get(pk=row.pk).verdict


@pytest.mark.django_db
def test_nobody_has_a_verdict_before_being_judged():
    row = make()

    assert row.verdict == Verdict.NOT_EVALUATED
    assert not Subscription.objects.candidates().exists()


@pytest.mark.django_db
def test_only_what_differs_is_written():
    row, other = make(), make()
    assert evaluate_rows(Subscription.objects.all(), TERMS) == 2
    before = set(Evaluation.objects.values_list("pk", "evaluated_at"))

    assert evaluate_rows(Subscription.objects.all(), TERMS) == 0
    Subscription.objects.filter(pk=row.pk).update(active=False)
    assert evaluate_rows(Subscription.objects.all(), TERMS) == 1

    assert verdict_of(row) == Verdict.DEACTIVATED
    assert {pk for pk, _ in before & set(Evaluation.objects.values_list("pk", "evaluated_at"))} == {other.pk}


@pytest.mark.django_db
def test_only_the_given_rows_are_judged():
    row, other = make(), make()

    evaluate_rows(Subscription.objects.filter(pk=row.pk), TERMS)

    assert (verdict_of(row), verdict_of(other)) == (Verdict.CANDIDATE, Verdict.NOT_EVALUATED)
    assert evaluate_rows(Subscription.objects.filter(pk__in=[]), TERMS) == 0


@pytest.mark.django_db
@pytest.mark.parametrize("moment", [days_ago(80), None])
def test_the_order_of_the_lists_follows_the_facts(moment):
    """Even where the verdict stays: the lists of one verdict are read in this order."""
    row = make(license="free", last_activity_at=days_ago(200))
    evaluate_rows(Subscription.objects.all(), TERMS)
    Subscription.objects.filter(pk=row.pk).update(last_activity_at=moment)

    assert evaluate_rows(Subscription.objects.all(), TERMS) == 1

    evaluated = Evaluation.objects.select_related("subscription").get()
    assert evaluated.idle_since == evaluated.subscription.idle_since
    assert evaluate_rows(Subscription.objects.all(), TERMS) == 0


@pytest.mark.django_db
def test_who_shows_no_moment_at_all_is_not_written_again_and_again():
    make(last_activity_at=None, license_assigned_at=None)

    assert evaluate_rows(Subscription.objects.all(), TERMS) == 1
    assert evaluate_rows(Subscription.objects.all(), TERMS) == 0


@pytest.mark.skipif(connection.vendor != "postgresql", reason="SQLite has one writer at a time")
def test_facts_that_are_being_written_are_waited_for(real_transactions):
    """Else the verdict of a moment ago would overwrite the one that the other has just verdict_now."""
    row = make()
    evaluate_rows(Subscription.objects.all(), TERMS)
    Evaluation.objects.update(verdict=Verdict.ACTIVE)

    def judge_all() -> None:
        evaluate_rows(Subscription.objects.all(), TERMS)
        connections.close_all()

    with transaction.atomic():
        Subscription.objects.filter(pk=row.pk).update(cooldown_until=timezone.now() + timedelta(days=9))
        evaluate_rows(Subscription.objects.filter(pk=row.pk), TERMS)
        evaluating = threading.Thread(target=judge_all)
        evaluating.start()
        wait_until_somebody_waits()
    evaluating.join(20)

    assert verdict_of(row) == Verdict.COOLING_DOWN


@pytest.mark.skipif(connection.vendor != "postgresql", reason="SQLite has one writer at a time")
def test_two_who_judge_the_same_person_first(real_transactions):
    """The one who comes second evaluates by the facts of then."""
    row = make()
    failed: list[Exception] = []

    def judge_all() -> None:
        try:
            evaluate_rows(Subscription.objects.all(), TERMS)
        except Exception as error:  # noqa: BLE001 - the test looks at it
            failed.append(error)
        connections.close_all()

    with transaction.atomic():
        evaluate_rows(Subscription.objects.all(), TERMS)
        Subscription.objects.filter(pk=row.pk).update(cooldown_until=timezone.now() + timedelta(days=9))
        evaluating = threading.Thread(target=judge_all)
        evaluating.start()
        wait_until_somebody_waits()
    evaluating.join(20)

    assert failed == []
    assert verdict_of(row) == Verdict.COOLING_DOWN


@pytest.mark.django_db
def test_protections_are_read_once_and_not_for_each_row():
    make()
    evaluated = Subscription.objects.annotate(verdict_now=verdict_case(TERMS, timezone.now())).order_by()
    counted = evaluated.values("verdict_now").annotate(n=Count("pk"))
    if connection.vendor == "postgresql":
        assert set(re.findall(r"\(?\w*\s?SubPlan \d+\)", counted.explain(verbose=True))) == {
            f"(hashed SubPlan {number})" for number in range(1, 7)
        }
    else:
        assert "CORRELATED" not in counted.explain()
