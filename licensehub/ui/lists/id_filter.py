"""Rows by a long list of ids: one value for the database, whatever their number."""

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


class IdList(NamedTuple):
    """As the database lists them: thousands go there and back as one text."""

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
    """`column` is one of the ids."""

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


def searched_alone(rows: QuerySet[Any]) -> Count | None:
    """How many rows a search picks, where nothing else does. Nobody counted those that it could not list as ids."""
    picking = rows.query.where.children
    if len(picking) != 1 or not isinstance(picking[0], Lookup):
        return None
    if isinstance(picking[0].lhs, IdIn):
        return Count(picking[0].lhs.ids.number)
    return Count(counts.STOP, exact=False) if isinstance(picking[0].rhs, Query) else None
