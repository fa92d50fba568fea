"""The CASE of all clauses as SQL, kept for each set of terms.

Django takes longer to build the CASE than the database takes to evaluate a few rows by it, and each person is evaluated
several times before and after a send. Only the moments differ from one evaluation to the next. They are filled in.
"""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Any, cast

from django.db import connection
from django.db.models import CharField, DateTimeField, Expression
from django.db.models.expressions import RawSQL
from django.db.models.sql import Query

from licensehub.database.clock import database_now
from subscriptions.bulk_sql import adapted
from subscriptions.eligibility.clauses import verdict_case
from subscriptions.eligibility.terms import Terms
from subscriptions.models import Subscription, Verdict


class Moment(Expression):
    """The time of an evaluation, or a time `ago` before it. It stands in the parameters until it is filled in."""

    def __init__(self, ago: timedelta = timedelta()) -> None:
        super().__init__(output_field=DateTimeField())
        self.ago = ago

    def __sub__(self, ago: timedelta) -> Moment:  # type: ignore[override]  # Django's returns any expression
        return Moment(self.ago + ago)

    def as_sql(self, compiler: Any, connection: Any) -> tuple[str, tuple[Any, ...]]:
        return "%s", (self,)


def verdict_sql(terms: Terms, now: datetime) -> RawSQL:
    """The CASE for rows of Subscription, to be evaluated as of `now`."""
    sql, parameters = _compiled(json.dumps(terms.to_json(), sort_keys=True), connection.alias)
    values = adapted(now - value.ago if isinstance(value, Moment) else value for value in parameters)
    return RawSQL(sql, values, CharField())  # noqa: S611 - made by Django from our own clauses


def verdict_of(row: Subscription, terms: Terms) -> Verdict:
    """The verdict on one row by the given terms, evaluated by the same CASE; nothing is written."""
    found = (
        Subscription.objects.filter(pk=row.pk)
        .annotate(evaluated=verdict_sql(terms, database_now()))
        .values_list("evaluated", flat=True)
        .get()
    )
    return Verdict(found)


@lru_cache(maxsize=64)
def _compiled(terms: str, alias: str) -> tuple[str, list[Any]]:
    query = Query(Subscription)
    # The clauses compare with it, or subtract from it.
    case = verdict_case(Terms.from_json(json.loads(terms)), cast("datetime", Moment()))
    # Without joins, so that it fits each query for rows of this table.
    sql, parameters = query.get_compiler(alias).compile(case.resolve_expression(query, allow_joins=False))
    return sql, list(parameters)
