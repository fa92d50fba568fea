"""For any rule, the buckets give the same result as an evaluation of everybody."""

from __future__ import annotations

import random
from collections import Counter
from dataclasses import replace
from datetime import datetime, timedelta

import pytest
import time_machine
from django.utils import timezone

from subscriptions.eligibility.buckets import count_buckets
from subscriptions.eligibility.clauses import CLAUSES, Clause, verdict_case
from subscriptions.eligibility.evaluate import evaluate_profile
from subscriptions.eligibility.preview import new_candidates, preview_rule
from subscriptions.eligibility.terms import Terms
from subscriptions.models import AdminRoles, Bucket, Evaluation, NeverActive, Subscription, Verdict
from subscriptions.stats import profile_stats
from tests.support.data.subscription_rows import terms_with
from tests.support.people.members import member

LICENSES = ("full", "free", "standard", "unknown")
DAY = timedelta(days=1)


@pytest.fixture
def now(monkeypatch):
    """One moment for all: to the microsecond, a threshold can lie exactly on somebody."""
    moment = timezone.now()
    monkeypatch.setattr(timezone, "now", lambda: moment)
    return moment


@pytest.fixture
def everybody(profile, now):
    """Every kind of person that a clause knows, many of them exactly a whole number of days idle."""
    dice = random.Random(5)  # noqa: S311 - no secret
    for number in range(400):
        idle, assigned = dice.randrange(0, 140), dice.randrange(-1, 120)
        grain = dice.choice([timedelta(0), timedelta(microseconds=1), -timedelta(microseconds=1), DAY / 2])
        member(
            profile,
            number,
            license=dice.choice(LICENSES),
            active=dice.random() > 0.05,
            gone_at=now if dice.random() < 0.05 else None,
            reclaimable=dice.random() > 0.1,
            admin_roles=dice.choice([(), (), (), ("User Admin",), ("A", "B")]),
            cooldown_until=now + DAY if dice.random() < 0.05 else None,
            last_activity_at=None if dice.random() < 0.15 else now - idle * DAY - grain,
            license_assigned_at=None if dice.random() < 0.1 else now - assigned * DAY - grain,
        )
    return profile


def evaluated(terms: Terms, now) -> dict[str, int]:
    rows = Subscription.objects.annotate(evaluated=verdict_case(terms, now))
    return dict(Counter(rows.values_list("evaluated", flat=True)))


def some_terms(dice: random.Random) -> Terms:
    return terms_with(
        threshold=dice.randrange(1, 150),
        licenses=tuple(dice.sample(LICENSES[:3], dice.randrange(1, 4))),
        grace=dice.choice([0, 1, 7, 30, 89, 90, 91, 200]),
        never_active=dice.choice(NeverActive.values),
        admin_roles=dice.choice(AdminRoles.values),
        by_license={license: dice.randrange(1, 150) for license in LICENSES if dice.random() < 0.3},
    )


def test_any_rule_judges_crowds_as_it_judges_people(everybody, now):
    count_buckets(everybody)
    dice = random.Random(11)  # noqa: S311 - made up, the same in each run
    for _ in range(60):
        terms = some_terms(dice)
        assert preview_rule(everybody, terms).verdicts == evaluated(terms, now), terms


def test_it_names_those_whom_an_evaluation_of_everybody_would_find(everybody, now):
    dice = random.Random(12)  # noqa: S311 - made up, the same in each run
    named = 0
    for _ in range(60):
        terms = some_terms(dice)
        rows = Subscription.objects.annotate(shown=verdict_case(terms, now)).filter(shown=Verdict.CANDIDATE)
        found = list(new_candidates(everybody, terms, now))
        assert {row.pk for row in found} == set(rows.values_list("pk", flat=True)), terms
        named += len(found)
    assert named


def test_every_threshold(everybody, now):
    count_buckets(everybody)
    for threshold in range(1, 145):
        terms = terms_with(threshold=threshold, licenses=("full", "free"), grace=30, never_active="review")
        assert preview_rule(everybody, terms).verdicts == evaluated(terms, now), threshold


def test_it_asks_no_person(everybody, django_assert_num_queries):
    count_buckets(everybody)
    with django_assert_num_queries(2) as asked:
        preview_rule(everybody, terms_with(threshold=45, licenses=("full",), grace=30, never_active="review"))
    assert not any("subscriptions_subscription" in query["sql"] for query in asked.captured_queries)


def test_counting_again_replaces_the_crowds(everybody):
    assert count_buckets(everybody) == count_buckets(everybody) == Bucket.objects.count()
    assert sum(Bucket.objects.values_list("people", flat=True)) == 400


def test_every_clause_is_either_of_the_rule_or_not():
    """The preview would ask a clause that reads the terms and does not say so with the terms of a default rule."""
    now = timezone.now()
    one = terms_with(threshold=1, licenses=("full",), grace=0, never_active="review")
    other = terms_with(threshold=9, licenses=("free",), grace=9, never_active="candidate", by_license={"full": 3})
    other, third = replace(other, admin_roles="candidate"), replace(one, admin_roles="leave")
    with time_machine.travel(now, tick=False):
        moved = {
            clause.verdict
            for clause in CLAUSES
            if len({asked(clause, terms, now) for terms in (one, other, third)}) > 1
        }
    assert moved == {clause.verdict for clause in CLAUSES if clause.reads_terms}


def asked(clause: Clause, terms: Terms, now: datetime) -> str:
    """Return what it asks of the database, as text: subqueries are never equal as objects."""
    return str(Subscription.objects.filter(clause.when(terms, now)).query)


def test_many_members_are_those_of_the_last_count_and_few_are_counted_now(everybody, monkeypatch):
    run = everybody.download_runs.get()
    evaluate_profile(everybody)
    count_buckets(everybody)
    live = profile_stats(everybody, run)
    monkeypatch.setattr("subscriptions.eligibility.people_counts.COUNTED_LIVE", 100)
    stored = profile_stats(everybody, run)
    assert live.people.live
    assert not stored.people.live
    for name in ("members", "held", "assigned", "active_lately", "inactive", "never", "review", "protected"):
        assert getattr(stored, name) == getattr(live, name), name
    assert stored.by_license == live.by_license
    candidates = list(Subscription.objects.candidates().values_list("pk", flat=True))
    Subscription.objects.filter(pk__in=candidates).update(active=False)
    Evaluation.objects.filter(pk__in=candidates).update(verdict=Verdict.DEACTIVATED)
    assert profile_stats(everybody, run) == stored
