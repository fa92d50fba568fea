"""Calls to the OpenID Connect provider: each one ends, and its answer is a JSON object that the database can store."""

from __future__ import annotations

import json
import re
from io import BytesIO
from threading import BoundedSemaphore
from typing import Any, Final, NoReturn

import requests
from urllib3.exceptions import HTTPError

from licensehub.audit.outgoing import may_use
from licensehub.outbound.deadlines import Deadline
from licensehub.outbound.sessions import PlainSession

SECONDS: Final = 10.0  # for one whole exchange, while somebody waits for the page
TIMEOUT: Final = (5, 10)
# Of the threads of a web process, so many wait for the provider: anybody can begin a sign-on, and the other pages stay.
CALLS: Final = 2
WAIT: Final = 0.25  # seconds for one of them
MAX_ANSWER: Final = 256 * 1024  # bytes
UNSTORABLE: Final = re.compile(r"\\u0000|[\ud800-\udfff]")

_calls = BoundedSemaphore(CALLS)


class ProviderSession(PlainSession):
    """Follows no redirect. Raises requests' exceptions only, which allauth shows as a sign-in that failed."""

    def __init__(self) -> None:
        super().__init__({"User-Agent": "LicenseHub", "Accept": "application/json"}, None)
        self.trust_env = True  # proxy and certificates of this host

    def request(self, method: str | bytes, url: str | bytes, *args: Any, **kwargs: Any) -> requests.Response:
        if not may_use(str(url)):
            raise requests.exceptions.InvalidSchema("The provider's address is not https.")
        if not _calls.acquire(timeout=WAIT):
            raise requests.ConnectionError("Others wait for the provider already.")
        try:
            return self._exchange(method, url, *args, **kwargs)
        finally:
            _calls.release()

    def _exchange(self, method: str | bytes, url: str | bytes, *args: Any, **kwargs: Any) -> requests.Response:
        kwargs |= {"timeout": TIMEOUT, "allow_redirects": False, "stream": True}
        with Deadline(SECONDS) as deadline, super().request(method, url, *args, **kwargs) as response:
            try:
                content = response.raw.read(MAX_ANSWER + 1, decode_content=True)
            except (HTTPError, OSError) as error:
                raise requests.ConnectionError(f"The provider's answer broke off ({type(error).__name__}).") from None
            if deadline.expired:
                raise requests.Timeout("The provider did not answer in time.")
        if response.ok:
            check_object(content)
        response.raw = BytesIO(content)
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
