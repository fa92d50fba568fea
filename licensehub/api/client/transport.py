"""The transport of the client: urllib, or another function of the same form."""

from __future__ import annotations

import http.client
import json
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Mapping
from typing import Any, Final

from licensehub.outbound.connecting import connect
from licensehub.outbound.deadlines import Deadline

TIMEOUT: Final = 60.0  # seconds without a byte
SECONDS: Final = 180.0  # for one whole exchange
MAX_ANSWER: Final = 32 * 1024 * 1024  # bytes: many times a page of a list, or a file of protections
LOOPBACK: Final = {"localhost", "127.0.0.1", "::1"}
# (method, address, headers, body) -> (status, body)
Send = Callable[[str, str, Mapping[str, str], bytes | None], tuple[int, bytes]]


class ApiError(Exception):
    """The API answered with a problem. `code` is stable, and the text is its sentence. Status 0: no answer."""

    def __init__(self, status: int, problem: Mapping[str, Any]) -> None:
        super().__init__(str(problem.get("detail", "")))
        self.status, self.code, self.problem = status, str(problem.get("code", "")), problem


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """A redirect would carry the token to wherever the answer points."""

    def redirect_request(self, *args: Any, **kwargs: Any) -> None:
        return None


class _Connection(http.client.HTTPConnection):
    """Reports its socket to the deadline of the exchange: an answer byte by byte would take hours."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._create_connection = lambda place, timeout, source: connect(*place, seconds=timeout)


class _TlsConnection(_Connection, http.client.HTTPSConnection):
    pass


class _Http(urllib.request.HTTPHandler):
    def http_open(self, request: urllib.request.Request) -> http.client.HTTPResponse:
        return self.do_open(_Connection, request)


class _Https(urllib.request.HTTPSHandler):
    def https_open(self, request: urllib.request.Request) -> http.client.HTTPResponse:
        return self.do_open(_TlsConnection, request)


_OPENER: Final = urllib.request.build_opener(_NoRedirect, _Http, _Https)


def is_safe(address: str) -> bool:
    """Whether a token may be sent there: over https, or to this machine."""
    try:
        parts = urllib.parse.urlsplit(address)
        host = parts.hostname
    except ValueError:
        return False
    return bool(host) and (parts.scheme == "https" or (parts.scheme == "http" and host in LOOPBACK))


def send(method: str, address: str, headers: Mapping[str, str], body: bytes | None) -> tuple[int, bytes]:
    """The status and the body. Raises ApiError without an answer, ValueError if others could read the token."""
    if not is_safe(address):
        raise ValueError("The address of LicenseHub begins with https://. Over http, others could read the token.")
    request = urllib.request.Request(address, data=body, headers=dict(headers), method=method)  # noqa: S310 - as above
    with Deadline(SECONDS) as deadline:
        try:
            status, content = _exchange(request)
        except (OSError, http.client.HTTPException) as error:
            raise _unreachable(request, str(error)) from error
        if deadline.expired:
            raise _unreachable(request, "it took too long")
    if len(content) > MAX_ANSWER:
        raise _unreachable(request, "its answer is too long")
    return status, content


def _exchange(request: urllib.request.Request) -> tuple[int, bytes]:
    try:
        with _OPENER.open(request, timeout=TIMEOUT) as response:
            return response.status, response.read(MAX_ANSWER + 1)
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read(MAX_ANSWER + 1)


def _unreachable(request: urllib.request.Request, why: str) -> ApiError:
    return ApiError(0, {"code": "unreachable", "detail": f"LicenseHub does not answer at {request.host}: {why}."})


class Caller:
    """Calls one LicenseHub with one token."""

    def __init__(self, address: str, token: str, *, send: Send = send) -> None:
        """Raises ValueError for a text that is no token: the error of the header would show it."""
        if not token.isascii() or not token.isprintable() or " " in token:
            raise ValueError("This is no token. A token begins with lh_.")
        self._address, self._token, self._send = address.rstrip("/"), token, send

    def call(
        self,
        method: str,
        path: str,
        query: Mapping[str, object] | None = None,
        body: object = None,
        idempotency_key: str = "",
    ) -> Any:
        """The JSON of the answer. Raises ApiError."""
        given = {name: _text(value) for name, value in (query or {}).items() if value is not None}
        address = f"{self._address}{path}" + (f"?{urllib.parse.urlencode(given)}" if given else "")
        headers = {"Authorization": f"Bearer {self._token}", "Accept": "application/json"}
        if idempotency_key:
            headers["Idempotency-Key"] = idempotency_key
        if body is not None:
            headers["Content-Type"] = "application/json"
        sent = None if body is None else json.dumps(body).encode()
        status, content = self._send(method, address, headers, sent)
        try:
            found = json.loads(content or b"{}")
        except (ValueError, RecursionError):
            found = None
        if not 200 <= status < 300 or not isinstance(found, dict):
            raise ApiError(status, found if isinstance(found, dict) and "code" in found else _not_ours(status))
        return found


def _not_ours(status: int) -> dict[str, str]:
    """The problem of an answer that is no answer of the API, e.g. a redirect, or the page of a proxy."""
    detail = (
        f"The answer (status {status}) is not one of LicenseHub. Check the address, and what stands in front of it."
    )
    return {"code": "not_licensehub", "detail": detail}


def _text(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
