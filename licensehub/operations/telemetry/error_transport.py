"""The way of error reports to their server: each call ends, in time and in size, and follows no redirect."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from sentry_sdk.transport import HttpTransport
from urllib3 import BaseHTTPResponse, PoolManager

from licensehub.outbound.deadlines import Deadline
from licensehub.outbound.sessions import POOLS

SECONDS: Final = 15.0  # for one whole exchange; a thread of its own waits
MAX_ANSWER: Final = 64 * 1024  # bytes


class BoundedTransport(HttpTransport):
    """That of the package reads an answer to its end, and would send a report wherever a redirect points."""

    def _make_pool(self) -> PoolManager:
        pool = super()._make_pool()
        pool.pool_classes_by_scheme = POOLS
        return pool

    def _request(self, method: str, endpoint_type: Any, body: Any, headers: Mapping[str, str]) -> BaseHTTPResponse:
        url = self._auth.get_api_url(endpoint_type)
        with Deadline(SECONDS):
            answer = self._pool.request(
                method, url, body=body, headers=headers, redirect=False, retries=False, preload_content=False
            )
            try:
                answer.read(MAX_ANSWER)
            finally:
                answer.close()
        return answer


def is_known() -> bool:
    """Whether this version of the package sends by the function that is replaced here."""
    return hasattr(HttpTransport, "_request") and hasattr(HttpTransport, "_make_pool")
