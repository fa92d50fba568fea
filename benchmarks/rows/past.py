"""Measure the count of people who would have come back, with 31 downloads of 100,000 members in 92 days."""

from __future__ import annotations

import statistics
from dataclasses import replace
from datetime import timedelta
from functools import partial

from django.utils import timezone

from benchmarks import environment
from benchmarks.rows import Row, at_most
from benchmarks.rows.history import FIRST, NEXT, run_at

MEMBERS = 100_000
# Percent of the members that were active since the download before.
CHURN = 15
EVERY = 3
GROUPED = "SELECT subscription_id, MAX(last_activity_at) FROM subscriptions_activitysnapshot GROUP BY 1"
ANSWER, COUNTED = 0.3, 10.0


def run(members: int = MEMBERS) -> list[Row]:
    from subscriptions.eligibility.buckets import count_buckets
    from subscriptions.eligibility.evaluate import evaluate_profile
    from subscriptions.eligibility.past_counts import count_past, history_of
    from subscriptions.eligibility.preview import preview_rule
    from subscriptions.eligibility.terms import current_terms
    from subscriptions.models import PastBucket, ReclaimRule
    from subscriptions.profiles import lifecycle

    environment.prepare()
    profile = lifecycle.create_profile(name="Past", organization_id="3074457345", kind="miro_enterprise", actor=None)
    ReclaimRule.objects.create(profile=profile, licenses=[*profile.connector.default_licenses])
    begin = timezone.now() - timedelta(days=92)
    run_at(profile, begin, FIRST, [begin, begin, members])
    for day in range(EVERY, 92, EVERY):
        moment = begin + timedelta(days=day)
        run_at(profile, moment, NEXT, [str(day), CHURN * members // 100, moment, profile.pk])
    evaluate_profile(profile)
    environment.execute("VACUUM (ANALYZE)")
    floor, _ = environment.timed(lambda: environment.execute(GROUPED))
    counted, _ = environment.timed(lambda: count_past(profile))
    count_buckets(profile)
    terms = [replace(current_terms(profile.pk), threshold=days) for days in range(20, 100, 4)]
    limit = statistics.median(environment.timed(partial(preview_rule, profile, each))[0] for each in terms)
    ours = statistics.median(environment.timed(partial(history_of, profile, each))[0] for each in terms)
    note = f"{PastBucket.objects.count():,} rows; limit: the preview of the same rule"
    return [
        at_most(f"would have come back, of {members:,}", ours, most=ANSWER, limit=limit, note=note),
        at_most("would have come back, counted", counted, most=COUNTED, limit=floor, note="limit: a bare GROUP BY"),
    ]
