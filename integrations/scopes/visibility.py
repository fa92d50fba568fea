"""Rows of the profiles that the reader of a page may see, and no others.

A page reads rows in many places: lists, searches, exports, figures, single rows. Each of them uses the manager of a
model, so the managers of all models with a profile leave out what the reader may not see. A row of another profile is
then like a row that does not exist. Tasks and commands have no reader and see everything.

`account_scopes` says which profiles an account may see. `refuse_outside` of `subscriptions.accounts.scope` asks it for
an act.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, TypeVar

from django.db import models
from django.db.models import Model, Q, QuerySet

# The ids of profiles; None for all of them.
Profiles = frozenset[int] | None
_Row = TypeVar("_Row", bound=Model)
Part = TypeVar("Part")
_reader: ContextVar[Callable[[], Profiles] | None] = ContextVar("reader", default=None)


@contextmanager
def seen_by(profiles: Callable[[], Profiles] | None) -> Iterator[None]:
    """Within it, only rows of these profiles are read. They are asked for when the first row is. None: all rows."""
    token = _reader.set(profiles)
    try:
        yield
    finally:
        _reader.reset(token)


def visible() -> Profiles:
    """The profiles of the reader of this page; None for all."""
    find = _reader.get()
    if find is None:
        return None
    with seen_by(None):
        return find()


def each_seen_by(profiles: Callable[[], Profiles], parts: Iterable[Part]) -> Iterator[Part]:
    """The parts of an answer that is still being made while it is sent."""
    end, rest = object(), iter(parts)
    while True:
        with seen_by(profiles):
            part: Any = next(rest, end)
        if part is end:
            return
        yield part


def within(model: type[Model], profiles: frozenset[int]) -> Q:
    """The condition for rows of this model, which says where its profile is: `profile_path`.

    Without a join, so that it fits into an UPDATE and into a SELECT that locks.
    """
    return _within(model, model.profile_path, profiles)  # type: ignore[attr-defined]  # a test asks each model for it


def _within(model: type[Model], path: str, profiles: frozenset[int]) -> Q:
    first, _, rest = path.partition("__")
    if not rest:
        return Q(**{f"{first}__in": profiles})
    related: Any = model._meta.get_field(first).related_model
    rows = related._base_manager.filter(_within(related, rest, profiles))
    return Q(**{f"{first}__in": rows.order_by().values("pk")})


class ProfileManager(models.Manager[_Row]):
    """Reads the rows that the reader may see. Its model has `profile_path`."""

    def get_queryset(self) -> QuerySet[_Row]:
        rows, profiles = super().get_queryset(), visible()
        return rows if profiles is None else rows.filter(within(self.model, profiles))
