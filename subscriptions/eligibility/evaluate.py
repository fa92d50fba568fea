"""Write the verdict of subscriptions into their judgments: two statements, whatever the number of rows."""

from __future__ import annotations

from typing import Any

from django.core.exceptions import EmptyResultSet
from django.db import connection, transaction
from django.db.models import F, Q, QuerySet
from django.utils import timezone

from integrations.models import IntegrationProfile
from subscriptions.eligibility.clauses import Terms, current_terms, verdict_case
from subscriptions.models import Judgment, Subscription

TABLE = Judgment._meta.db_table
FIRST = """
INSERT INTO {table} (subscription_id, verdict, idle_since, judged_at)
SELECT judged.id, judged.spoken, judged.idle_since, %s FROM ({rows}) AS judged WHERE TRUE
    ON CONFLICT (subscription_id) DO NOTHING
"""
ANEW = """
UPDATE {table} SET verdict = judged.spoken, idle_since = judged.idle_since, judged_at = %s
  FROM ({rows}) AS judged WHERE judged.id = {table}.subscription_id
"""
# Whoever has changed the facts of a row, and not yet committed, is waited for: then these rows are judged anew.
LOCKED = ' FOR NO KEY UPDATE OF "subscriptions_subscription"'
# The judgment in place says the same.
SAME = Q(judgment__verdict=F("spoken")) & (
    Q(judgment__idle_since=F("idle_since")) | Q(judgment__idle_since=None, idle_since=None)
)


def refresh_verdicts(profile: IntegrationProfile) -> int:
    """Judge all rows of a profile anew and write those whose verdict changed. Returns how many that were."""
    return apply_verdict(Subscription.objects.filter(profile=profile), current_terms(profile.pk))


def apply_verdict(rows: QuerySet[Subscription], terms: Terms) -> int:
    """Judge these rows and write what differs from their judgments. Returns how many that were.

    Those never judged come first: a row that another process judges in this moment is then judged anew below.
    """
    now = timezone.now()
    judged: QuerySet[Any] = rows.annotate(spoken=verdict_case(terms, now))
    with transaction.atomic():
        first = _write(FIRST, judged.filter(judgment=None), now)
        return first + _write(ANEW, judged.filter(judgment__isnull=False).exclude(SAME), now, locked=True)


def _write(statement: str, judged: QuerySet[Any], now: Any, *, locked: bool = False) -> int:
    try:
        found, parameters = judged.order_by().values("id", "spoken", "idle_since").query.sql_with_params()
    except EmptyResultSet:
        return 0
    if locked and connection.vendor == "postgresql":
        found += LOCKED
    with connection.cursor() as cursor:
        cursor.execute(
            statement.format(table=TABLE, rows=found),
            [connection.ops.adapt_datetimefield_value(now), *parameters],
        )
        return int(cursor.rowcount)
