"""Calls to the OpenID Connect provider: each one ends, and its answer is a JSON object that the database can store."""

from __future__ import annotations

import json
import re
from threading import BoundedSemaphore
from typing import Any, Final, NoReturn

import requests

from licensehub.audit.outgoing import may_use
from licensehub.outbound.sessions import BoundedSession

SECONDS: Final = 10.0  # for one whole exchange, while somebody waits for the page
# Of the threads of a web process, so many wait for the provider: anybody can begin a sign-on, and the other pages stay.
CALLS: Final = 2
WAIT: Final = 0.25  # seconds for one of them
MAX_ANSWER: Final = 256 * 1024  # bytes
UNSTORABLE: Final = re.compile(r"\\u0000|[\ud800-\udfff]")

_calls = BoundedSemaphore(CALLS)


class ProviderSession(BoundedSession):
    """Raises requests' exceptions only, which allauth shows as a sign-in that failed."""

    def __init__(self) -> None:
        headers = {"User-Agent": "LicenseHub", "Accept": "application/json"}
        super().__init__(headers, seconds=SECONDS, longest=MAX_ANSWER)

    def request(self, method: str | bytes, url: str | bytes, *args: Any, **kwargs: Any) -> requests.Response:
        if not may_use(str(url)):
            raise requests.exceptions.InvalidSchema("The provider's address is not https.")
        if not _calls.acquire(timeout=WAIT):
            raise requests.ConnectionError("Others wait for the provider already.")
        try:
            response = super().request(method, url, *args, **kwargs)
        finally:
            _calls.release()
        if response.ok:
            check_object(response.content)
        response.headers.setdefault("Content-Type", "application/json")
        return response


def check_object(content: bytes) -> None:
    """Raises InvalidJSONError."""
    try:
        if len(content) <= MAX_ANSWER and is_storable(json.loads(content, parse_constant=_refuse)):
            return
    except (ValueError, RecursionError):
        pass
    raise requests.exceptions.InvalidJSONError("The provider's answer is no JSON object that can be stored.")


def is_storable(found: object) -> bool:
    """Whether it is a JSON object without the characters that PostgreSQL refuses."""
    return isinstance(found, dict) and not UNSTORABLE.search(json.dumps(found, ensure_ascii=False, allow_nan=False))


def _refuse(name: str) -> NoReturn:
    raise ValueError(name)
