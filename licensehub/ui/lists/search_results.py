"""What a search finds, where it is little: the keys of the whole list, read and put in order by one query.

No index has the order of these few. Page by page, they would be looked for anew for the page, its count and each tab.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from django.core.exceptions import EmptyResultSet
from django.db import connection

from licensehub.ui.lists.keyset import Cursor, Order, Page, Rows

# Of more than these, the page is read by walking the list, which soon meets enough of them.
STOP = 1000
FIRST, LAST, AFTER, BEFORE = "first", "last", "after-", "before-"


@dataclass(frozen=True, slots=True)
class Matches:
    """Of each row the primary key and some columns; in the order of the list, where these are all."""

    rows: list[tuple[Any, ...]]
    are_all: bool


def fetch_matches(rows: Rows, order: Order, *also: str) -> Matches:
    """As many as one looks at, and these columns of them.

    What they are ordered by stays in the database: to read thousands of moments takes longer than to sort them there.
    """
    wanted = dict.fromkeys(("pk", *order.columns, *also))
    try:
        sql, values = rows.order_by().values(*wanted)[: STOP + 1].query.sql_with_params()
    except EmptyResultSet:
        return Matches([], are_all=True)
    shown = ", ".join(f'"{column}"' for column in ("pk", *also))
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT {shown} FROM ({sql}) AS found ORDER BY {_terms(order)}", values)  # noqa: S608 - Django's SQL
        found: list[tuple[Any, ...]] = cursor.fetchall()
    return Matches(found[:STOP], are_all=len(found) <= STOP)


def _terms(order: Order) -> str:
    direction = "DESC" if order.descending else "ASC"
    return ", ".join(f'"{column}" {direction} NULLS LAST' for column in order.columns)


def page_of(keys: Sequence[Any], turn: str, place: Cursor | None, size: int) -> Page:
    """The primary keys that this page shows. The place is that of a row in the list."""
    if turn == LAST:
        start = len(keys) - size
    elif place is None:
        start = 0
    else:
        start = keys.index(place.pk) + 1 if turn == AFTER else keys.index(place.pk) - size
    end = min(start + size, len(keys))
    return Page(list(keys[max(0, start) : end]), start > 0, end < len(keys))
