"""The result of a search, if it is short: one query reads the keys of all rows in their order.

No index has the order of these rows. Without this, the page, its count and each tab would search again.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from django.core.exceptions import EmptyResultSet
from django.db import connection

from licensehub.ui.lists.paging.keyset import Cursor, Order, Page, Rows

# With more results than these, the page is read in the order of the list, which soon meets enough of them.
STOP = 1000
FIRST, LAST, AFTER, BEFORE = "first", "last", "after-", "before-"


@dataclass(frozen=True, slots=True)
class Matches:
    """The primary key and some columns of each row. If these are all results, they are in the order of the list."""

    rows: list[tuple[Any, ...]]
    are_all: bool


def fetch_matches(rows: Rows, order: Order, *also: str) -> Matches:
    """Up to STOP rows: the primary key and these columns.

    The columns of the order are not read, because reading thousands of moments takes longer than sorting them in the
    database.
    """
    wanted = dict.fromkeys(("pk", *order.columns, *also))
    try:
        sql, values = rows.order_by().values(*wanted)[: STOP + 1].query.sql_with_params()
    except EmptyResultSet:
        return Matches([], are_all=True)
    shown = ", ".join(f'"{column}"' for column in ("pk", *also))
    direction = "DESC" if order.descending else "ASC"
    terms = ", ".join(f'"{column}" {direction} NULLS LAST' for column in order.columns)
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT {shown} FROM ({sql}) AS found ORDER BY {terms}", values)  # noqa: S608 - Django's SQL
        found: list[tuple[Any, ...]] = cursor.fetchall()
    return Matches(found[:STOP], are_all=len(found) <= STOP)


def page_of(keys: Sequence[Any], direction: str, place: Cursor | None, size: int) -> Page:
    """The primary keys that this page shows. The place is that of a row in the list, or None at either end."""
    if direction == LAST:
        start = len(keys) - size
    elif place is None:
        start = 0
    else:
        start = keys.index(place.pk) + 1 if direction == AFTER else keys.index(place.pk) - size
    end = min(start + size, len(keys))
    return Page(list(keys[max(0, start) : end]), start > 0, end < len(keys))
