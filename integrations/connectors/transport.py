"""One HTTP exchange with a vendor, which ends at its deadline."""

from __future__ import annotations

import json
from urllib.parse import urlencode

import requests
from urllib3.exceptions import HTTPError

from integrations.connectors.contract import BadAnswer, ConfigError, TransientError, english
from integrations.connectors.network import current_network
from integrations.connectors.request import Call, Failure, Limits, host_of
from integrations.connectors.response import Answer
from licensehub.outbound.deadlines import Deadline
from licensehub.outbound.sessions import PlainSession


class Transport:
    """Sends calls of one session and reads their answers. Reads reuse their connection."""

    def __init__(self, *, vendor: str, slot: str, media_type: str, limits: Limits) -> None:
        self._vendor = vendor
        self._slot = slot
        self._media_type = media_type
        self._limits = limits
        self._network = current_network()
        headers = {"Accept": media_type, "Accept-Encoding": "gzip", "User-Agent": "LicenseHub"}
        self._http = PlainSession(headers, self._network.tls_context(slot=slot))

    def close(self) -> None:
        """Close the kept connections."""
        self._http.close()

    def send(self, call: Call, token: str) -> Answer:
        """The complete answer, whatever its status. Raises Failure, or ConfigError when nothing may be sent there."""
        with Deadline(call.seconds_left()) as deadline:
            try:
                with self._request(call, token) as response:
                    body = self._read(response)
            except (requests.RequestException, HTTPError, OSError) as error:
                # `from None`: the library's exception holds the request, and so the token.
                raise self._broken(error, call, deadline) from None
            if deadline.expired:
                # The end of a body without a length looks the same as our own cut.
                raise self._too_slow(sent=True)
        return Answer(response.status_code, response.headers, body)

    def _request(self, call: Call, token: str) -> requests.Response:
        """The status and the headers; the body is still to be read. Raises as requests, urllib3 and sockets do."""
        left = max(call.seconds_left(), 0.001)
        headers, payload = {}, None
        if token:
            headers["Authorization"] = f"Bearer {token}"  # RFC 6750: in no URL, so in no log and no exception
        if call.form is not None:
            headers["Content-Type"] = "application/x-www-form-urlencoded"
            payload = urlencode(call.form).encode()
        elif call.body is not None:
            headers["Content-Type"] = self._media_type
            payload = json.dumps(call.body).encode()
        return self._http.request(
            call.method,
            call.url,
            headers=headers,
            data=payload,
            proxies=self._network.proxies_for(call.url),
            timeout=(min(self._limits.connect, left), min(self._limits.read, left)),
            allow_redirects=False,
            stream=True,
        )

    def _read(self, response: requests.Response) -> bytes:
        """The decompressed body, at most as large as allowed: a small compressed body may unpack to a huge one."""
        body: bytes = response.raw.read(self._limits.body + 1, decode_content=True)
        if len(body) > self._limits.body:
            text = english("{vendor}'s answer is larger than {body:,} bytes and was not read to its end.").format(
                vendor=self._vendor, body=self._limits.body
            )
            error = BadAnswer(text, status=response.status_code, code="too_large")
            raise Failure(error, sent=True, retry=False)
        return body

    def _broken(self, error: Exception, call: Call, deadline: Deadline) -> Exception:
        """The error for an exchange that broke off. Nothing is sent before the connection is made."""
        if deadline.expired or isinstance(error, requests.Timeout) or "timed out" in str(error):
            return self._too_slow(sent=deadline.connected)
        if "CERTIFICATE_VERIFY_FAILED" in str(error):
            return self._untrusted(call)
        if not deadline.connected:
            proxy = self._network.proxies_for(call.url)
            text = english("{host} cannot be reached from this machine.")
            if proxy:
                text = english("{host} cannot be reached through the proxy {proxy} (VENDOR_PROXY).")
            text = text.format(host=host_of(call.url), proxy=self._network.proxy_label)
        else:
            text = english("{vendor}'s answer broke off.").format(vendor=self._vendor)
        return Failure(TransientError(text, code=type(error).__name__), sent=deadline.connected)

    def _untrusted(self, call: Call) -> ConfigError:
        text = english(
            "The TLS certificate of {host} cannot be trusted, so nothing was sent. Ask the people who "
            "run the network of this machine. If the company has its own certificates, name them in VENDOR_CA_BUNDLE."
        ).format(host=host_of(call.url))
        return ConfigError(text, slot=self._slot, code="certificate")

    def _too_slow(self, *, sent: bool) -> Failure:
        text = english("{vendor} did not answer in time.").format(vendor=self._vendor)
        return Failure(TransientError(text, code="timeout"), sent=sent)
