"""Calls over HTTPS to a destination outside: no redirects, bounded times and sizes, and no plain HTTP over a network.

An operator names these destinations in the environment. Addresses that a person enters go through `outbound.pinned`.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

import requests
from django.conf import settings
from urllib3.exceptions import HTTPError

from licensehub.audit.outside import NotTaken, refuse_in_transaction
from licensehub.outbound.deadlines import Deadline
from licensehub.outbound.sessions import PlainSession

TIMEOUT = (5, 20)  # seconds to connect, and between two bytes of the answer
MAX_SECONDS = 60.0  # for the whole exchange
MAX_ANSWER = 256 * 1024  # bytes


@dataclass(frozen=True, slots=True)
class Answer:
    """A complete answer. `body` is decompressed."""

    status: int
    headers: Mapping[str, str]
    body: bytes


def post(url: str, body: bytes, headers: Mapping[str, str], *, plain_http: bool = False) -> bytes:
    """The body of the answer, which must be a 2xx. Raises NotTaken.

    `plain_http`: also allow http to another machine, for an answer that is signed.
    """
    refuse_in_transaction()
    if not (may_use(url) or (plain_http and urlsplit(url).scheme == "http")):
        raise NotTaken("The address is not https.")
    answer = exchange("POST", url, body, headers)
    if not 200 <= answer.status < 300:
        raise NotTaken(f"The answer was HTTP {answer.status}.")
    return answer.body


def exchange(method: str, url: str, body: bytes, headers: Mapping[str, str], *, most: int = MAX_ANSWER) -> Answer:
    """The whole answer, whatever its status, of `most` bytes. Raises NotTaken."""
    with Deadline(MAX_SECONDS) as deadline, PlainSession({"User-Agent": "LicenseHub"}, None) as session:
        session.verify = settings.AUDIT_CA_BUNDLE or True
        if settings.AUDIT_PROXY and not is_loopback(urlsplit(url).hostname or ""):
            session.proxies = {"https": settings.AUDIT_PROXY, "http": settings.AUDIT_PROXY}
        try:
            with session.request(
                method, url, data=body, headers=dict(headers), timeout=TIMEOUT, allow_redirects=False, stream=True
            ) as answer:
                content = answer.raw.read(most + 1, decode_content=True)
        except (requests.RequestException, HTTPError, OSError) as error:
            # The kind of error only: its text may hold the address with a secret.
            raise NotTaken(f"The address cannot be reached ({type(error).__name__}).") from error
        if deadline.expired:
            # The end of an answer without a length looks the same as our own cut.
            raise NotTaken("The address did not answer in time.")
    if len(content) > most:
        raise NotTaken("The answer is too long.")
    return Answer(answer.status_code, answer.headers, bytes(content))


def may_use(url: str) -> bool:
    """Whether the address is https, or http on this machine."""
    try:
        parts = urlsplit(url)
        host = parts.hostname or ""
        _ = parts.port
    except ValueError:
        return False
    return bool(host) and (parts.scheme == "https" or (parts.scheme == "http" and is_loopback(host)))


def is_loopback(host: str) -> bool:
    """Whether it is this machine, by name or by number."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
