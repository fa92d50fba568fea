"""How many rows a list has, as far as it is worth counting: an honest “10,000+” beyond that.

Counting a million rows takes longer than drawing the page. Where somebody acts on all of them, they are counted.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from django.core.exceptions import EmptyResultSet
from django.db import connection
from django.db.models import QuerySet

STOP = 10_000
# Where nobody acts on all of them.
EXACT_UP_TO = 1000


@dataclass(frozen=True, slots=True)
class Count:
    """`number` rows, or more where it is not `exact`, or about so many."""

    number: int
    exact: bool = True
    about: bool = False

    def __str__(self) -> str:
        if self.about:
            return f"about {_rounded(self.number):,}"
        if self.exact:
            return f"{self.number:,}"
        return f"{self.number:,}+" if self.number else "?"

    def __bool__(self) -> bool:
        """Whether there may be any."""
        return self.number > 0 or not self.exact

    def __add__(self, other: Count) -> Count:
        """Of two tabs: beyond the stop the sum is worth no more than each."""
        whole = self.number + other.number
        return Count(min(whole, STOP), exact=self.exact and other.exact and whole <= STOP)


def _rounded(number: int) -> int:
    """Two digits: more would pretend to know."""
    unit = int(10 ** max(0, len(str(number)) - 2))
    return round(number / unit) * unit


def capped(rows: QuerySet[Any]) -> Count:
    """Counted up to the stop."""
    return _count(rows.order_by().values("pk")[: STOP + 1].count())


def estimated(rows: QuerySet[Any]) -> Count:
    """Exact while they are few, else what PostgreSQL believes. Only where nobody acts on all of them.

    https://www.postgresql.org/docs/current/using-explain.html
    """
    if connection.vendor != "postgresql":
        return capped(rows)
    wanted = rows.order_by().values("pk")
    few = wanted[: EXACT_UP_TO + 1].count()
    if few <= EXACT_UP_TO:
        return Count(few)
    sql, values = wanted.query.sql_with_params()
    with connection.cursor() as cursor:
        cursor.execute(f"EXPLAIN (FORMAT JSON) {sql}", values)
        ((plan,),) = cursor.fetchone()
    return Count(max(few, plan["Plan"]["Plan Rows"]), exact=False, about=True)


def capped_each(choices: Mapping[str, QuerySet[Any]]) -> dict[str, Count]:
    """Several counts up to the stop, in one query."""
    if not choices:
        return {}
    parts: list[str] = []
    parameters: list[Any] = []
    for rows in choices.values():
        try:
            sql, values = rows.order_by().values("pk")[: STOP + 1].query.sql_with_params()
        except EmptyResultSet:
            sql, values = "SELECT 1 WHERE 1 = 0", ()
        parts.append(f"(SELECT COUNT(*) FROM ({sql}) AS counted)")  # noqa: S608 - Django's own SQL
        parameters.extend(values)
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT {', '.join(parts)}", parameters)
        found: Sequence[int] = cursor.fetchone()
    return {name: _count(number) for name, number in zip(choices, found, strict=True)}


def whole_table(rows: QuerySet[Any]) -> Count:
    """Of a list without any filter: what PostgreSQL believes, where that is many, and else the exact number.

    https://www.postgresql.org/docs/current/row-estimation-examples.html
    """
    if connection.vendor != "postgresql":
        return Count(rows.order_by().count())
    with connection.cursor() as cursor:
        cursor.execute("SELECT reltuples FROM pg_class WHERE oid = %s::regclass", [f'"{rows.model._meta.db_table}"'])
        believed = int(cursor.fetchone()[0])
    return Count(believed, exact=False, about=True) if believed > STOP else capped(rows)


def _count(number: int) -> Count:
    return Count(min(number, STOP), exact=number <= STOP)
