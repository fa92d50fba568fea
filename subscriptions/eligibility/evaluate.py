"""Write the verdicts of subscriptions into their evaluations: two statements for any number of rows."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any

from django.core.exceptions import EmptyResultSet
from django.db import connection, transaction
from django.db.models import Count, F, Max, Q, QuerySet

from integrations.models import IntegrationProfile
from licensehub.database.clock import database_now
from subscriptions.bulk_sql import execute, large_tables
from subscriptions.eligibility.buckets import note_change
from subscriptions.eligibility.terms import Terms, current_terms
from subscriptions.eligibility.verdict_sql import verdict_sql
from subscriptions.models import Evaluation, Protection, ReclaimRule, Subscription

TABLE = Evaluation._meta.db_table
INSERT_MISSING = """
INSERT INTO {table} (subscription_id, verdict, idle_since, evaluated_at)
SELECT evaluated.id, evaluated.verdict_now, evaluated.idle_since, %s FROM ({rows}) AS evaluated WHERE TRUE
    ON CONFLICT (subscription_id) DO NOTHING
"""
# Materialized, so that each row is evaluated once. Where PostgreSQL expects few rows, it would evaluate all of them
# again for each row of the table.
UPDATE_CHANGED = """
UPDATE {table} SET verdict = evaluated.verdict_now, idle_since = evaluated.idle_since, evaluated_at = %s
  FROM (WITH once AS MATERIALIZED ({rows}) SELECT * FROM once) AS evaluated
 WHERE evaluated.id = {table}.subscription_id
"""
# The UPDATE waits for a transaction that has changed facts of these rows. After its commit they are evaluated again.
LOCKED = ' FOR NO KEY UPDATE OF "subscriptions_subscription"'
# The stored evaluation is the same.
UNCHANGED = Q(evaluation__verdict=F("verdict_now")) & (
    Q(evaluation__idle_since=F("idle_since")) | Q(evaluation__idle_since=None, idle_since=None)
)


def evaluate_profile(profile: IntegrationProfile, *, before: Callable[[], None] = lambda: None) -> int:
    """Evaluate all rows of a profile and write the verdicts that changed. Returns how many.

    `before` is called first in the transaction. The process that saves a rule or a protection meanwhile evaluates it,
    but our UPDATE may come last. So all rows are evaluated again until nothing was saved meanwhile.
    """
    changed, basis = 0, _basis(profile)
    while True:
        now = database_now()
        with transaction.atomic():
            before()
            changed += evaluate_rows(Subscription.objects.filter(profile=profile), basis[0], now=now)
        evaluated, basis = basis, _basis(profile)
        if basis == evaluated:
            ReclaimRule.objects.filter(profile=profile).update(evaluated_at=now)
            return changed


def _basis(profile: IntegrationProfile) -> tuple[Terms, dict[str, Any]]:
    """The values that decide besides the facts: the rule, and how many protections were ever made and ended."""
    protections = Protection.objects.filter(profile=profile)
    return current_terms(profile.pk), protections.aggregate(made=Max("pk"), ended=Count("ended_at"))


def evaluate_rows(rows: QuerySet[Subscription], terms: Terms, *, few: bool = False, now: datetime | None = None) -> int:
    """Evaluate these rows of one profile, and write the evaluations that differ. Returns how many.

    The counts of the profile are old then: see `eligibility.buckets`.

    `few` says that `rows` selects some rows by their primary key, so that each is looked up in an index. Any other
    selection is planned as if it had all rows of a large table.
    """
    now = now or database_now()
    evaluated: QuerySet[Any] = rows.annotate(verdict_now=verdict_sql(terms, now))
    with transaction.atomic() if few else large_tables():
        # First the rows without an evaluation: if another process inserts one now, the UPDATE below finds it.
        first = _write(INSERT_MISSING, evaluated.filter(evaluation=None), now)
        # The first statement has just written the rows that are excluded here.
        others = evaluated.filter(evaluation__isnull=False).exclude(evaluation__evaluated_at=now)
        changed = first + _write(UPDATE_CHANGED, others.exclude(UNCHANGED), now, locked=True)
        if changed and (profile_id := rows.order_by().values_list("profile", flat=True).first()):
            note_change(profile_id)
    return changed


def _write(statement: str, evaluated: QuerySet[Any], now: Any, *, locked: bool = False) -> int:
    try:
        found, parameters = evaluated.order_by().values("id", "verdict_now", "idle_since").query.sql_with_params()
    except EmptyResultSet:
        return 0
    if locked and connection.vendor == "postgresql":
        found += LOCKED
    return execute(statement.format(table=TABLE, rows=found), [now, *parameters])
