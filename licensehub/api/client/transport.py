"""The transport of the client: urllib, or another function of the same form."""

from __future__ import annotations

import http.client
import json
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Mapping
from typing import Any, Final

TIMEOUT: Final = 60  # seconds without a byte
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


_OPENER: Final = urllib.request.build_opener(_NoRedirect)


def send(method: str, address: str, headers: Mapping[str, str], body: bytes | None) -> tuple[int, bytes]:
    if not address.startswith(("https://", "http://")):
        raise ValueError("The address of LicenseHub begins with https://.")
    request = urllib.request.Request(address, data=body, headers=dict(headers), method=method)  # noqa: S310 - as above
    try:
        with _OPENER.open(request, timeout=TIMEOUT) as response:
            return response.status, response.read()
    except urllib.error.HTTPError as error:
        return error.code, error.read()
    except (OSError, http.client.HTTPException) as error:
        told = {"code": "unreachable", "detail": f"LicenseHub does not answer at {request.host}: {error}."}
        raise ApiError(0, told) from error


class Caller:
    """Calls one LicenseHub with one token."""

    def __init__(self, address: str, token: str, *, send: Send = send) -> None:
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
        except ValueError:
            found = None
        if not 200 <= status < 300 or found is None:
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
