"""Puts a call on the wire. What all calls of a session have in common is prepared once, not while a vendor waits."""

from __future__ import annotations

import json
from typing import cast
from urllib.parse import urlencode

import requests
from urllib3.response import HTTPResponse

from integrations.connectors.request import Call, Limits
from integrations.connectors.wire import WatchedAdapter


class Sender:
    """Requests' adapter without its session: no redirect, no cookie, and nothing of the environment can come in."""

    def __init__(self, *, media_type: str, limits: Limits) -> None:
        self._limits = limits
        self._media_type = media_type
        self._adapter = WatchedAdapter()
        self._headers = {"Accept": media_type, "Accept-Encoding": "gzip", "User-Agent": "LicenseHub"}

    def send(self, call: Call) -> HTTPResponse:
        """The head of the answer; its body is still to be read. Raises as requests, urllib3 and sockets do."""
        left = max(call.left(), 0.001)
        timeout = (min(self._limits.connect, left), min(self._limits.read, left))
        answer = self._adapter.send(self._prepared(call), stream=True, timeout=timeout, verify=True)
        return cast(HTTPResponse, answer)  # see `WatchedAdapter.build_response`

    def close(self) -> None:
        """Drop the kept connections."""
        self._adapter.close()

    def _prepared(self, call: Call) -> requests.PreparedRequest:
        """The token is put where no repr and no exception shows it (RFC 6750)."""
        if call.method == "GET":
            prepared = requests.PreparedRequest()
            prepared.method, prepared.url = "GET", call.url  # its values are escaped already
            prepared.headers = dict(self._headers)  # type: ignore[assignment] # a plain one is copied in no time
        else:
            prepared = self._with_body(call).prepare()
        if call.token:
            prepared.headers["Authorization"] = f"Bearer {call.token}"
        return prepared

    def _with_body(self, call: Call) -> requests.Request:
        headers = dict(self._headers)
        if call.form is not None:
            headers["Content-Type"] = "application/x-www-form-urlencoded"
        elif call.body is not None:
            headers["Content-Type"] = self._media_type
        return requests.Request(call.method, call.url, headers=headers, data=_payload(call))


def _payload(call: Call) -> bytes | None:
    if call.form is not None:
        return urlencode(call.form).encode()
    return json.dumps(call.body).encode() if call.body is not None else None
