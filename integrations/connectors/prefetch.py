"""Reads one page ahead: while the caller stores a page, a thread reads the next one."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Generic, Protocol, Self, TypeVar

from integrations.connectors.contract import ConfigError, ConnectorError
from integrations.connectors.request import UNAUTHORIZED


class _Page(Protocol):
    @property
    def cursor(self) -> str: ...


P = TypeVar("P", bound=_Page)


class Prefetch(Generic[P]):
    """Gives page after page by cursor, never more than one page ahead. Leaving the `with` block ends the thread.

    `fetch(cursor, token)` reads one page. `token` gives the token that the thread uses; it is called in the caller's
    thread, since it may read the database. With the token None, `fetch` runs in the caller's thread and may renew it.
    """

    def __init__(self, fetch: Callable[[str, str | None], P], *, token: Callable[[], str]) -> None:
        self._fetch = fetch
        self._token = token
        self._pool = ThreadPoolExecutor(max_workers=1, thread_name_prefix="prefetch")
        self._next: Future[P] | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._pool.shutdown(cancel_futures=True)

    def page(self, cursor: str) -> P:
        """The page at `cursor`: the first cursor, or the one of the page before. Raises as `fetch` and `token`."""
        page = self._prefetched(self._next, cursor) if self._next else self._fetch(cursor, None)
        self._next = self._read_ahead(page.cursor) if page.cursor else None
        return page

    def _read_ahead(self, cursor: str) -> Future[P]:
        """The next page. An error of `token` is raised with that page, so the one before is not lost."""
        try:
            token = self._token()
        except ConnectorError as error:
            failed: Future[P] = Future()
            failed.set_exception(error)
            return failed
        return self._pool.submit(self._fetch, cursor, token)

    def _prefetched(self, prefetched: Future[P], cursor: str) -> P:
        try:
            return prefetched.result()
        except ConfigError as error:
            if error.status not in UNAUTHORIZED:
                raise
        # The token has expired meanwhile. This thread may renew it.
        return self._fetch(cursor, None)
