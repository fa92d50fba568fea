"""What a search finds, where it is little: one query reads the keys of all rows in their order.

No index has the order of these few. Without this, the page, its count and each tab would search once more.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from django.core.exceptions import EmptyResultSet
from django.db import connection

from licensehub.ui.lists.keyset import Cursor, Order, Page, Rows

# Of more rows than these, the page is read in the order of the list, which soon finds enough of them.
STOP = 1000
FIRST, LAST, AFTER, BEFORE = "first", "last", "after-", "before-"


@dataclass(frozen=True, slots=True)
class Matches:
    """Of each row the primary key and some columns; in the order of the list, where these are all."""

    rows: list[tuple[Any, ...]]
    are_all: bool


def fetch_matches(rows: Rows, order: Order, *also: str) -> Matches:
    """Up to STOP rows: the primary key and these columns.

    The columns of the order are not read: to read thousands of moments takes longer than to sort them in the database.
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
