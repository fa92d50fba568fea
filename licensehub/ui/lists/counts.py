"""The number of rows of a list, counted up to 10,000; more are shown as “10,000+”, or as an estimate.

Counting a million rows takes longer than drawing the page. An action on all rows counts them first.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from django.core.exceptions import EmptyResultSet
from django.db import connection
from django.db.models import QuerySet
from django.utils.translation import gettext as _

from licensehub.ui.formatting import number

STOP = 10_000
# Rows that are grouped by a field, rather than counted once for each of its values.
READ_ONCE = 20_000
# For estimates. Most organizations have fewer people.
EXACT_UP_TO = 5000


@dataclass(frozen=True, slots=True)
class Count:
    """`number` rows; if not `exact`, at least so many; with `about`, an estimate."""

    number: int
    exact: bool = True
    about: bool = False

    def __str__(self) -> str:
        if self.about:
            # More than two digits would look exact.
            unit = int(10 ** max(0, len(str(self.number)) - 2))
            return _("about {count}").format(count=number(round(self.number / unit) * unit))
        if self.exact:
            return number(self.number)
        return f"{number(self.number)}+" if self.number else "?"

    @property
    def words(self) -> str:
        """The count as words of a sentence: `67`, `about 15,000`, `more than 10,000`."""
        if self.exact or self.about:
            return str(self)
        return _("more than {count}").format(count=number(self.number))

    def __bool__(self) -> bool:
        """Whether there can be any rows."""
        return self.number > 0 or not self.exact

    def __add__(self, other: Count) -> Count:
        """The count of two tabs together, also capped at STOP."""
        whole = self.number + other.number
        return Count(min(whole, STOP), exact=self.exact and other.exact and whole <= STOP)


def capped(rows: QuerySet[Any]) -> Count:
    """Counted up to STOP."""
    return _count(rows.order_by().values("pk")[: STOP + 1].count())


def estimated(rows: QuerySet[Any]) -> Count:
    """Exact up to EXACT_UP_TO, else PostgreSQL's estimate. Only for lists without an action on all rows.

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
    """Several counts up to STOP, in one query."""
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


def capped_by(field: str, values: Sequence[str], rows: QuerySet[Any]) -> dict[str, Count]:
    """The count of each value of a field up to STOP.

    What a filter leaves is read once if it is not much, since no index may have both the filter and the field.
    """
    if rows.query.where:
        # With the values, since an index may begin with the field.
        some = dict(_grouped(rows.filter(**{f"{field}__in": values}).order_by().values(field)[: READ_ONCE + 1]))
        if sum(some.values()) <= READ_ONCE:
            return {value: _count(some.get(value, 0)) for value in values}
    return capped_each({value: rows.filter(**{field: value}) for value in values})


def _grouped(some: QuerySet[Any]) -> list[tuple[str, int]]:
    """Values with their numbers. Django does not group the rows of a slice."""
    try:
        sql, values = some.query.sql_with_params()
    except EmptyResultSet:
        return []
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT given.*, COUNT(*) FROM ({sql}) AS given GROUP BY 1", values)  # noqa: S608 - Django's own SQL
        return list(cursor.fetchall())


def whole_table(rows: QuerySet[Any]) -> Count:
    """For a list without filters: PostgreSQL's estimate if it is above STOP, else the exact number.

    https://www.postgresql.org/docs/current/row-estimation-examples.html
    """
    if connection.vendor != "postgresql":
        return Count(rows.order_by().count())
    with connection.cursor() as cursor:
        cursor.execute("SELECT reltuples FROM pg_class WHERE oid = %s::regclass", [f'"{rows.model._meta.db_table}"'])
        estimate = int(cursor.fetchone()[0])
    return Count(estimate, exact=False, about=True) if estimate > STOP else capped(rows)


def _count(number: int) -> Count:
    return Count(min(number, STOP), exact=number <= STOP)
