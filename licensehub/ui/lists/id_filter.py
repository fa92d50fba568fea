"""Rows by a long list of ids, which goes to the database as one value."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple, Self

from django.core.exceptions import EmptyResultSet
from django.db import connection
from django.db.models import BooleanField, F, Func, Lookup, QuerySet
from django.db.models.sql import Query

from licensehub.ui.lists import counts
from licensehub.ui.lists.counts import Count

COLLECTED = {"postgresql": "array_to_string(array_agg(pk), ',')", "sqlite": "group_concat(pk)"}
POSTGRESQL = "%(expressions)s = ANY(%%s::int[])"
SQLITE = "%(expressions)s IN (SELECT value FROM json_each(%%s))"


# More digits than these fit into no column.
MAX_DIGITS = 18


def is_id(text: str) -> bool:
    """Whether a text of an address or a form may be an id."""
    return text.isdecimal() and len(text) <= MAX_DIGITS


class IdList(NamedTuple):
    """Ids separated by commas, as the database lists them: thousands of ids travel as one text."""

    number: int
    listed: str

    @classmethod
    def of(cls, ids: Iterable[int]) -> Self:
        known = sorted(set(ids))
        return cls(len(known), ",".join(map(str, known)))

    @classmethod
    def read(cls, rows: QuerySet[Any]) -> Self:
        """The primary keys of these rows."""
        try:
            sql, values = rows.values("pk").query.sql_with_params()
        except EmptyResultSet:
            return cls(0, "")
        collected = COLLECTED[connection.vendor]
        with connection.cursor() as cursor:
            cursor.execute(f"SELECT COUNT(*), {collected} FROM ({sql}) AS found", values)  # noqa: S608 - Django's SQL
            number, listed = cursor.fetchone()
        return cls(number, listed or "")


class IdIn(Func):
    """A condition: the column is one of the ids."""

    output_field = BooleanField()

    def __init__(self, column: str, ids: IdList) -> None:
        super().__init__(F(column))
        self.ids = ids

    def as_postgresql(self, compiler: Any, connection: Any) -> tuple[str, list[Any]]:
        sql, values = self.as_sql(compiler, connection, template=POSTGRESQL)
        return sql, [*values, f"{{{self.ids.listed}}}"]

    def as_sqlite(self, compiler: Any, connection: Any, **extra: Any) -> tuple[str, tuple[str | int, ...]]:
        sql, values = self.as_sql(compiler, connection, template=SQLITE)
        return sql, (*values, f"[{self.ids.listed}]")


def search_count(rows: QuerySet[Any]) -> Count | None:
    """Return how many rows a search finds, if it is the only condition; None otherwise.

    A search that finds too many rows to list their ids does not count them: there are at least STOP.
    """
    conditions = rows.query.where.children
    if len(conditions) != 1 or not isinstance(conditions[0], Lookup):
        return None
    search = conditions[0]
    if isinstance(search.lhs, IdIn):
        return Count(search.lhs.ids.number)
    return Count(counts.STOP, exact=False) if isinstance(search.rhs, Query) else None
