"""Preview a reclaim rule: how many people would have which verdict, without evaluating each of them again.

The clauses that depend on a rule are evaluated for the buckets: see `eligibility.buckets`. This gives the same numbers
as an evaluation of everybody at the moment of the last evaluation.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from django.db.models import Case, Count, Q, QuerySet, Sum, Value, When

from integrations.models import IntegrationProfile
from licensehub.database.clock import database_now
from subscriptions.bulk_sql import large_tables
from subscriptions.eligibility.buckets import MAX_GRACE_DAYS, LastCount, evaluated_at, last_count, newest_buckets
from subscriptions.eligibility.clauses import CLAUSES, verdict_case
from subscriptions.eligibility.people_counts import PeopleCounts, counted, is_large
from subscriptions.eligibility.terms import Terms
from subscriptions.models import Subscription, Verdict


def new_candidates(profile: IntegrationProfile, terms: Terms, as_of: datetime) -> QuerySet[Subscription]:
    """The people who are no candidates now, and would be by these terms. The longest inactive people come first.

    The query evaluates everybody who is idle for longer than the shortest threshold. So use it only for profiles that
    are not `is_large`.
    """
    # An index serves this condition. Nobody who is idle for less than the shortest threshold is a candidate.
    shortest = timedelta(days=min([terms.threshold, *terms.by_license.values()]))
    idle = Subscription.objects.filter(profile=profile, idle_since__lt=as_of - shortest)
    found = idle.exclude(evaluation__verdict=Verdict.CANDIDATE)
    would = found.annotate(shown=verdict_case(terms, as_of)).filter(shown=Verdict.CANDIDATE.value)
    return would.order_by("idle_since", "pk")


def preview_rule(profile: IntegrationProfile, terms: Terms, last: LastCount | None = None) -> PeopleCounts:
    """Count the profile's people by the verdict that these terms would give them. Nothing is written.

    `last` is the last count, if the caller has it. If the buckets are too old, a small profile is counted now. A large
    one is counted within a minute.
    """
    last = last or last_count(profile)
    if last is None or terms.grace > MAX_GRACE_DAYS or (last.old and not is_large(profile)):
        as_of = evaluated_at(profile)
        everybody = Subscription.objects.filter(profile=profile)
        evaluated: QuerySet[Any] = everybody.annotate(shown=verdict_case(terms, as_of))
        with large_tables():
            return PeopleCounts(counted(evaluated, Count("pk"), as_of), database_now(), live=True)
    # `standing` is the verdict of the clauses that do not read the terms, at the moment when the buckets were counted.
    whens = [
        When(
            clause.when(terms, last.as_of) if clause.reads_terms else Q(standing=clause.verdict.value),
            Value(clause.verdict.value),
        )
        for clause in CLAUSES
    ]
    case = Case(*whens, default=Value(Verdict.CANDIDATE.value))
    rows = newest_buckets(profile).annotate(shown=case)
    return PeopleCounts(counted(rows, Sum("people"), last.as_of), last.at, live=False)
