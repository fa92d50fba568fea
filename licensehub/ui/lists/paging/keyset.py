"""Pages of a list by key: the next page begins after the last row shown, so each page costs the same.

The order is one column and the primary key, or the primary key alone. Empty values come last in either direction. Rows
with a value and rows without one are read by two queries: no database uses an index for both in one condition.
https://use-the-index-luke.com/no-offset
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import reduce
from typing import Any

from django.core.exceptions import ImproperlyConfigured, ObjectDoesNotExist, ValidationError
from django.db.models import F, Field, GeneratedField, Model, QuerySet, Value
from django.db.models.expressions import OrderBy

from licensehub.ui.lists.paging.row_values import compared, row

Rows = QuerySet[Any]
# The largest primary key of any of our tables.
MAX_ID = 2**63 - 1


class InvalidCursor(Exception):
    """The address has a position that no page links to."""


def _field(model: type[Model], column: str) -> Field[Any, Any]:
    """The field of a column. For a generated column its output field, which knows how the database writes a value."""
    *path, name = column.split("__")
    for step in path:
        model = model._meta.get_field(step).related_model  # type: ignore[assignment]  # a relation
    found: Any = model._meta.pk if name == "pk" else model._meta.get_field(name)
    if isinstance(found, GeneratedField):
        found = found.output_field
    if not isinstance(found, Field):
        raise ImproperlyConfigured(f"{model.__name__}: {column} cannot be ordered by.")
    return found


@dataclass(frozen=True, slots=True)
class Order:
    """The column of the order, and whether the largest value comes first. The primary key has the same direction.

    The column may be one of a related row, e.g. `evaluation__idle_since`: then the index is on that row's table. `key`
    is then the column of that index with the value of our primary key, if it has one. `optional` means that some rows
    may have no related row yet. They come last, like empty values.
    """

    model: type[Model]
    column: str
    descending: bool = False
    key: str = "pk"
    optional: bool = False

    @property
    def field(self) -> Field[Any, Any]:
        return _field(self.model, self.column)

    @property
    def columns(self) -> tuple[str, ...]:
        return (self.key,) if self.field.primary_key else (self.column, self.key)

    @property
    def has_empty(self) -> bool:
        return bool(self.field.null) or self.optional

    def terms(self) -> list[OrderBy]:
        """For `order_by`, when the list is not read page by page."""
        last = {"nulls_last": True} if self.has_empty else {}
        first = F(self.columns[0])
        terms = [first.desc(**last) if self.descending else first.asc(**last)]
        key = F(self.key)
        return terms if len(self.columns) == 1 else [*terms, key.desc() if self.descending else key.asc()]

    def place_of(self, row: Any) -> Cursor:
        """The place of a row. `row` has the values of the order, or is a named tuple of them."""
        first = () if len(self.columns) == 1 else (_value(row, self.column),)
        return Cursor((*first, row.pk))


def _value(row: Any, column: str) -> Any:
    """None if a related row is missing; of a foreign key, the key."""
    if hasattr(row, "_fields"):
        return getattr(row, column)
    try:
        value = reduce(getattr, column.split("__"), row)
    except ObjectDoesNotExist:
        return None
    return value.pk if isinstance(value, Model) else value


@dataclass(frozen=True, slots=True)
class Cursor:
    """The values of a row in the columns of the order."""

    values: tuple[Any, ...]

    @property
    def pk(self) -> Any:
        return self.values[-1]

    def token(self) -> str:
        """The cursor as text for an address. Moments keep their microseconds."""
        words = [value.isoformat() if isinstance(value, datetime) else value for value in self.values]
        return base64.urlsafe_b64encode(json.dumps(words).encode()).decode().rstrip("=")

    @classmethod
    def read(cls, token: str, order: Order) -> Cursor:
        """Raises InvalidCursor."""
        try:
            values = json.loads(base64.urlsafe_b64decode(token + "=" * (-len(token) % 4)))
            *first, pk = values
            if len(values) != len(order.columns) or type(pk) is not int or abs(pk) > MAX_ID:
                raise InvalidCursor(token)
            return cls((*(order.field.to_python(value) for value in first), pk))
        except (binascii.Error, ValueError, TypeError, ValidationError) as error:
            raise InvalidCursor(token) from error


@dataclass(frozen=True, slots=True)
class Page:
    """The primary keys of some rows of the list, and whether there are more on either side.

    Only the keys, because with whole rows the database joins each row that it skips with all related tables.
    """

    keys: list[Any]
    has_previous: bool
    has_next: bool


def first(rows: Rows, order: Order, size: int) -> Page:
    found = _walk(rows, order, None, size + 1, forward=True)
    return Page(found[:size], False, len(found) > size)


def last(rows: Rows, order: Order, size: int) -> Page:
    found = _walk(rows, order, None, size + 1, forward=False)
    return Page(found[:size][::-1], len(found) > size, False)


def after(rows: Rows, order: Order, place: Cursor, size: int) -> Page:
    found = _walk(rows, order, place, size + 1, forward=True)
    return Page(found[:size], True, len(found) > size)


def before(rows: Rows, order: Order, place: Cursor, size: int) -> Page:
    found = _walk(rows, order, place, size + 1, forward=False)
    return Page(found[:size][::-1], len(found) > size, True)


def walk(rows: Rows, order: Order, size: int) -> Iterator[Any]:
    """All rows in their order, `size` in memory at a time, with no database cursor open in between."""
    place = None
    while found := rows_of(rows, _walk(rows, order, place, size, forward=True)):
        yield from found
        place = order.place_of(found[-1])


def walk_columns(rows: Rows, order: Order, size: int, columns: Sequence[str]) -> Iterator[Any]:
    """Like `walk`, but only these columns, as named tuples. Building an object takes longer than reading its row."""
    place = None
    names = tuple(dict.fromkeys(("pk", *order.columns, *columns)))
    while found := _take(_queries(rows, order, place, True), size, *names):
        yield from found
        place = order.place_of(found[-1])


def _walk(rows: Rows, order: Order, place: Cursor | None, count: int, *, forward: bool) -> list[Any]:
    """The next `count` keys after the place; without a place, from the beginning in this direction."""
    return [row.pk for row in _take(_queries(rows, order, place, forward), count, "pk")]


def rows_of(rows: Rows, keys: Sequence[Any]) -> list[Any]:
    """The rows with these primary keys, in this order; rows that were deleted meanwhile are left out."""
    whole = {row.pk: row for row in rows.order_by().filter(pk__in=keys)} if keys else {}
    return [whole[key] for key in keys if key in whole]


def _take(queries: Iterable[Rows], count: int, *columns: str) -> list[Any]:
    """The first `count` rows of these queries, read one query after the other."""
    found: list[Any] = []
    for query in queries:
        found += query.values_list(*columns, named=True)[: count - len(found)]
        if len(found) == count:
            break
    return found


def _queries(rows: Rows, order: Order, place: Cursor | None, forward: bool) -> Iterator[Rows]:
    """One query for the rows with a value, then one for the empty ones; backwards in the reverse order."""
    upwards = forward != order.descending
    in_empty = place is not None and len(order.columns) == 2 and place.values[0] is None
    valued = rows.order_by(*(column if upwards else f"-{column}" for column in order.columns))
    if order.has_empty or "__" in order.column:
        # Of a related row this also makes an inner join, so that the index of that table gives the order.
        valued = valued.filter(**{f"{order.column}__isnull": False})
    if not order.has_empty:
        yield _beyond(valued, order.columns, place, upwards)
        return
    empty = _without_value(rows, order).order_by("pk" if upwards else "-pk")
    if in_empty and place:
        yield _beyond(empty, ("pk",), Cursor(place.values[1:]), upwards)
        if not forward:
            yield valued
        return
    from_here = _beyond(valued, order.columns, place, upwards)
    if forward:
        yield from (from_here, empty)
    else:
        yield from (from_here,) if place else (empty, valued)


def _without_value(rows: Rows, order: Order) -> Rows:
    """The rows without a value.

    If each row has a related row, an inner join lets the database use that table's index.
    """
    related = order.column.rpartition("__")[0]
    if related and not order.optional:
        rows = rows.filter(**{f"{related}__isnull": False})
    return rows.filter(**{f"{order.column}__isnull": True})


def count_before(rows: Rows, order: Order, place: Cursor, *, most: int) -> int:
    """Count the rows before the place. Counting stops at `most` + 1."""
    found = 0
    for query in _queries(rows, order, place, forward=False):
        found += query.order_by().values("pk")[: most + 1 - found].count()
        if found > most:
            break
    return found


def _beyond(rows: Rows, columns: tuple[str, ...], place: Cursor | None, upwards: bool) -> Rows:
    if place is None:
        return rows
    names = [F(column) for column in columns]
    fields = [_field(rows.model, column) for column in columns]
    values = [Value(value, output_field=field) for value, field in zip(place.values, fields, strict=True)]
    if len({column.rpartition("__")[0] for column in columns}) > 1:
        # No index has columns of two tables. With this condition, that of the first one begins at the place.
        rows = rows.filter(**{f"{columns[0]}__{'gte' if upwards else 'lte'}": values[0]})
    return rows.filter(compared(row(*names), ">" if upwards else "<", row(*values)))
