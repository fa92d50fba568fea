"""Going from page to page by cursors, up to an end that is really one."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Protocol, TypeVar

from integrations.connectors.contract import BadAnswer

# Ten times the members of the largest organization that was heard of.
MAX_PAGES = 20_000


class _Page(Protocol):
    @property
    def cursor(self) -> str: ...


P = TypeVar("P", bound=_Page)


def walk(fetch: Callable[[str], P], *, cursor: str = "", max_pages: int, what: str) -> Iterator[P]:
    """All pages of `what`, from `cursor` on. Raises BadAnswer when a cursor comes back or there are over `max_pages`.

    A cursor is remembered by its hash alone: eight bytes, where ten thousand cursors would take a megabyte more. Two
    of 20,000 are taken for the same one in a hundred billion downloads, and then nothing is believed, not too much.
    """
    seen = {hash(cursor)}
    for _ in range(max_pages):
        page = fetch(cursor)
        cursor = page.cursor
        if cursor and hash(cursor) in seen:
            raise BadAnswer(f"Miro's pages of {what} go round in a circle. None of them is used.", code="loop")
        seen.add(hash(cursor))
        yield page
        if not cursor:
            return
    raise BadAnswer(f"Miro's list of {what} does not end after {max_pages} pages.", code="too_many_pages")
