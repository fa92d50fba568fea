"""Write the exact verdicts of a million people with 2,000 protections, and count them for another threshold."""

from __future__ import annotations

from dataclasses import replace
from itertools import islice
from typing import TYPE_CHECKING

from django.db import connection, transaction
from django.db.models import Count
from django.utils import timezone

from benchmarks import environment
from benchmarks.pages import members as made_up
from benchmarks.rows import Row, at_most

if TYPE_CHECKING:
    from integrations.models import IntegrationProfile

MEMBERS = 1_000_000
PROTECTIONS = 2000
# The targets in seconds on PostgreSQL; on SQLite they are doubled.
WRITTEN, COUNTED = 10.0, 1.0
BATCH = 20_000
CONSTANT = """
INSERT INTO subscriptions_evaluation (subscription_id, verdict, idle_since, evaluated_at)
SELECT id, 'not_evaluated', idle_since, facts_at FROM subscriptions_subscription
"""
EMPTY = "DELETE FROM subscriptions_evaluation"
OTHER = "UPDATE subscriptions_evaluation SET verdict = 'not_evaluated'"
# Grouped by a column without an index, so that all rows are read, as for a verdict.
GROUPED = "SELECT reclaimable, COUNT(*) FROM subscriptions_subscription GROUP BY reclaimable"


def run(members: int = MEMBERS) -> list[Row]:
    environment.prepare()
    slack = 1 if connection.vendor == "postgresql" else 2
    profile = _fill(members)
    _protect(profile)
    environment.execute("ANALYZE")
    limit, _ = environment.timed(lambda: environment.execute(CONSTANT))
    environment.execute(EMPTY)
    written, _ = environment.timed(lambda: _evaluate(profile))
    environment.execute("VACUUM", "ANALYZE")
    again, _ = environment.timed(lambda: _evaluate(profile))
    constant, _ = environment.timed(lambda: environment.execute(OTHER))
    environment.execute("VACUUM", "ANALYZE")
    rewritten, _ = environment.timed(lambda: _evaluate(profile))
    environment.execute("VACUUM", "ANALYZE")
    floor, _ = environment.timed(lambda: environment.execute(GROUPED))
    counted, _ = environment.timed(lambda: _count(profile))
    where = "PostgreSQL" if connection.vendor == "postgresql" else "SQLite"
    words = f"verdict of {members:,}, {PROTECTIONS:,} protections, {where}"
    note = f"after a first download; limit: one constant for each; again, nothing new: {again:.1f} s"
    return [
        at_most(f"{words}, written", written, most=WRITTEN * slack, limit=limit, note=note),
        Row(f"{words}, all rewritten", constant, rewritten, rewritten / constant, "limit: one constant in all of them"),
        at_most(f"{words}, counted", counted, most=COUNTED * slack, limit=floor, note="limit: a bare GROUP BY"),
    ]


def _fill(members: int) -> IntegrationProfile:
    """Fill the database through staging and merge, like a download, with the same people on both databases."""
    from integrations.connectors.miro import parse
    from subscriptions.downloads.facts import staging
    from subscriptions.downloads.run import write_facts
    from subscriptions.models import DownloadRun, ReclaimRule
    from subscriptions.profiles import lifecycle

    now = timezone.now()
    profile = lifecycle.create_profile(name="B", organization_id="3074457345", kind="miro_enterprise", actor=None)
    ReclaimRule.objects.create(profile=profile, licenses=[*profile.connector.default_licenses])
    found = DownloadRun.objects.create(
        profile=profile, started_by="command", started_at=now, finished_at=now, lease_until=now, read=members
    )
    people = (parse.member(one, where="A made-up member", now=now) for one in made_up(members, seed=7))
    with transaction.atomic():
        while batch := list(islice(people, BATCH)):
            staging.store(found, batch)
        staging.drop_repeated(found)
        write_facts(found, now=now)
        DownloadRun.objects.filter(pk=found.pk).update(state="complete")
    return profile


def _protect(profile: IntegrationProfile) -> None:
    from django.contrib.auth.models import User

    from subscriptions.models import Protection, Subscription

    somebody = User.objects.create_user("bench")
    emails = Subscription.objects.order_by("pk").values_list("email", flat=True)
    Protection.objects.bulk_create(
        Protection(profile=profile, value=email.lower(), reason="Benchmark", owner="Benchmark", created_by=somebody)
        for email in emails[: PROTECTIONS * 10 : 10]
    )


def _evaluate(profile: IntegrationProfile) -> None:
    from subscriptions.eligibility.evaluate import evaluate_profile

    evaluate_profile(profile)


def _count(profile: IntegrationProfile) -> None:
    """Count the verdicts for another threshold, without the buckets of the preview."""
    from subscriptions.eligibility.clauses import verdict_case
    from subscriptions.eligibility.terms import current_terms
    from subscriptions.models import Subscription

    terms = replace(current_terms(profile.pk), threshold=77)
    rows = Subscription.objects.filter(profile=profile).annotate(evaluated=verdict_case(terms, timezone.now()))
    dict(rows.order_by().values_list("evaluated").annotate(n=Count("pk")))
