"""The rows that a token may read, and pages of them.

The rows are those of the screens: the `get_queryset` of the admin class, with its right to view. A token that names
profiles is like an account whose roles hold for these: `account_scopes.narrow`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any, Final, Generic, TypeVar

from django.contrib import admin
from django.core import signing
from django.db.models import Model, QuerySet
from django.http import Http404, HttpRequest
from ninja import Query, Schema
from pydantic import Field

from licensehub.api.problems import Problem
from licensehub.ui.lists.paging import keyset

T = TypeVar("T")
Row = TypeVar("Row", bound=Model)

MAX_ID: Final = 2**31 - 1
Id = Annotated[int, Field(ge=1, le=MAX_ID)]
Limit = Annotated[int, Query(50, ge=1, le=200, description="Rows in one answer")]
Cursor = Annotated[str, Query("", max_length=600, description="`next_cursor` of the answer before")]
CURSOR_SALT: Final = "licensehub.api.cursor"


class Page(Schema, Generic[T]):
    """Some rows of a list, and the cursor of those that follow; null after the last ones."""

    items: list[T]
    next_cursor: str | None


class Coded(Schema):
    """A word for programs, and the same for people."""

    code: str
    label: str


def rows_for(request: HttpRequest, model: type[Row]) -> QuerySet[Row]:
    """The rows of this model that the token may see. Raises a Problem without the right to view any."""
    screen = admin.site._registry[model]
    if not screen.has_view_permission(request):
        raise Problem(
            403, detail=f"The role of this token does not have the right to view {model._meta.verbose_name_plural}."
        )
    rows: QuerySet[Row] = screen.get_queryset(request)
    return rows


def one_for(request: HttpRequest, model: type[Row], pk: int) -> Row:
    """One of these rows. Raises Http404."""
    row = rows_for(request, model).filter(pk=pk).first()
    if row is None:
        raise Http404
    return row


def page(
    rows: QuerySet[Row], order: keyset.Order, cursor: str, limit: int, build: Callable[[list[Row]], list[Any]]
) -> dict[str, Any]:
    """The page after the cursor. Raises a Problem for a cursor that no answer had, or that of another list."""
    place = _place(cursor, order) if cursor else None
    found = keyset.after(rows, order, place, limit) if place else keyset.first(rows, order, limit)
    shown = keyset.rows_of(rows, found.keys)
    following = _signer(order).sign(order.place_of(shown[-1]).token()) if shown and found.has_next else None
    return {"items": build(shown), "next_cursor": following}


def _place(cursor: str, order: keyset.Order) -> keyset.Cursor:
    try:
        return keyset.Cursor.read(_signer(order).unsign(cursor), order)
    except (signing.BadSignature, keyset.InvalidCursor) as error:
        wrong = {"place": "query.cursor", "detail": "This is not the cursor of an answer of this list."}
        raise Problem(422, errors=[wrong]) from error


def _signer(order: keyset.Order) -> signing.Signer:
    """A cursor has values of rows, and goes into a query. So only one of ours is read, and only for its list."""
    return signing.Signer(salt=f"{CURSOR_SALT}:{order.model._meta.label}:{order.column}:{order.descending}")
