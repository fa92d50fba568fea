"""Follows cursors from page to page, and refuses a list that repeats or does not end."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Protocol, TypeVar

from integrations.connectors.contract import BadAnswer, english

# Ten times the members of the largest known organization.
MAX_PAGES = 20_000


class _Page(Protocol):
    @property
    def cursor(self) -> str: ...


P = TypeVar("P", bound=_Page)


def walk(fetch: Callable[[str], P], *, cursor: str = "", max_pages: int, what: str) -> Iterator[P]:
    """All pages of `what`, from `cursor` on. Raises BadAnswer when a cursor repeats or there are more than `max_pages`.

    Only the hash of a cursor is stored: eight bytes, where ten thousand cursors would take a megabyte more. Two of
    20,000 have the same hash in one of a hundred billion downloads, which then fails but accepts nothing wrong.
    """
    seen = {hash(cursor)}
    for _ in range(max_pages):
        page = fetch(cursor)
        cursor = page.cursor
        if cursor and hash(cursor) in seen:
            raise BadAnswer(
                english("Miro's pages of {what} repeat in a loop. None of them is used.").format(what=what), code="loop"
            )
        seen.add(hash(cursor))
        yield page
        if not cursor:
            return
    raise BadAnswer(
        english("Miro's list of {what} does not end after {max_pages} pages.").format(what=what, max_pages=max_pages),
        code="too_many_pages",
    )
