"""Write the verdict of subscriptions into their evaluations: two statements, whatever the number of rows."""

from __future__ import annotations

from typing import Any

from django.core.exceptions import EmptyResultSet
from django.db import connection, transaction
from django.db.models import F, Q, QuerySet
from django.utils import timezone

from integrations.models import IntegrationProfile
from subscriptions.bulk_sql import execute, large_tables
from subscriptions.eligibility.clauses import verdict_case
from subscriptions.eligibility.terms import Terms, current_terms
from subscriptions.models import Evaluation, Subscription

TABLE = Evaluation._meta.db_table
INSERT_MISSING = """
INSERT INTO {table} (subscription_id, verdict, idle_since, evaluated_at)
SELECT evaluated.id, evaluated.verdict_now, evaluated.idle_since, %s FROM ({rows}) AS evaluated WHERE TRUE
    ON CONFLICT (subscription_id) DO NOTHING
"""
# Materialized, so that the rows are evaluated once. PostgreSQL would evaluate all of them again for each row of the
# table where it believes both to be few.
UPDATE_CHANGED = """
UPDATE {table} SET verdict = evaluated.verdict_now, idle_since = evaluated.idle_since, evaluated_at = %s
  FROM (WITH once AS MATERIALIZED ({rows}) SELECT * FROM once) AS evaluated
 WHERE evaluated.id = {table}.subscription_id
"""
# Whoever has changed the facts of a row, and not yet committed, is waited for: then these rows are evaluated anew.
LOCKED = ' FOR NO KEY UPDATE OF "subscriptions_subscription"'
# The evaluation in place says the same.
UNCHANGED = Q(evaluation__verdict=F("verdict_now")) & (
    Q(evaluation__idle_since=F("idle_since")) | Q(evaluation__idle_since=None, idle_since=None)
)


def evaluate_profile(profile: IntegrationProfile) -> int:
    """Evaluate all rows of a profile anew and write those whose verdict changed. Returns how many that were."""
    return evaluate_rows(Subscription.objects.filter(profile=profile), current_terms(profile.pk))


def evaluate_rows(rows: QuerySet[Subscription], terms: Terms, *, few: bool = False) -> int:
    """Evaluate these rows and write what differs from their evaluations. Returns how many that were.

    `few` says that `rows` picks some rows by their primary key, so that each is looked up in an index. All others are
    planned as if they were all rows of a large table.

    Those never evaluated come first: a row that another process evaluates in this moment is then evaluated anew below.
    """
    now = timezone.now()
    evaluated: QuerySet[Any] = rows.annotate(verdict_now=verdict_case(terms, now))
    with transaction.atomic() if few else large_tables():
        first = _write(INSERT_MISSING, evaluated.filter(evaluation=None), now)
        return first + _write(
            UPDATE_CHANGED, evaluated.filter(evaluation__isnull=False).exclude(UNCHANGED), now, locked=True
        )


def _write(statement: str, evaluated: QuerySet[Any], now: Any, *, locked: bool = False) -> int:
    try:
        found, parameters = evaluated.order_by().values("id", "verdict_now", "idle_since").query.sql_with_params()
    except EmptyResultSet:
        return 0
    if locked and connection.vendor == "postgresql":
        found += LOCKED
    return execute(statement.format(table=TABLE, rows=found), [now, *parameters])
