"""What a search finds, where it is little: the keys of the whole list, read and put in order by one query.

No index has the order of these few. Page by page, they would be looked for anew for the page, its count and each tab.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.core.exceptions import EmptyResultSet
from django.db import connection

from integrations import counting
from integrations.keyset import Order, Page, Place, Rows

FIRST, LAST, AFTER, BEFORE = "first", "last", "after-", "before-"


def few(rows: Rows, order: Order, *also: str) -> list[tuple[Any, ...]] | None:
    """Of each row the primary key and these columns, in the order of the list; None where there are too many.

    What they are ordered by stays in the database: to read ten thousand moments takes longer than to sort them there.
    """
    wanted = dict.fromkeys(("pk", *order.columns, *also))
    try:
        sql, values = rows.order_by().values(*wanted)[: counting.STOP + 1].query.sql_with_params()
    except EmptyResultSet:
        return []
    shown = ", ".join(f'"{column}"' for column in ("pk", *also))
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT {shown} FROM ({sql}) AS found ORDER BY {_terms(order)}", values)  # noqa: S608 - our own
        found: list[tuple[Any, ...]] = cursor.fetchall()
    return found if len(found) <= counting.STOP else None


def _terms(order: Order) -> str:
    direction = "DESC" if order.descending else "ASC"
    return ", ".join(f'"{column}" {direction} NULLS LAST' for column in order.columns)


def page_of(keys: Sequence[Any], turn: str, place: Place | None, size: int) -> Page:
    """The primary keys that this page shows. The place is that of a row in the list."""
    if turn == LAST:
        start = len(keys) - size
    elif place is None:
        start = 0
    else:
        start = keys.index(place.pk) + 1 if turn == AFTER else keys.index(place.pk) - size
    end = min(start + size, len(keys))
    return Page(list(keys[max(0, start) : end]), start > 0, end < len(keys))
