"""POST over TLS to a number that was checked before, with the name of the host in SNI, in the check of the certificate
and in the header Host. No redirect, no proxy, no cookie, and nothing of the environment.
"""

from __future__ import annotations

import ssl
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import cache

from requests.adapters import DEFAULT_CA_BUNDLE_PATH
from urllib3.exceptions import HTTPError, NewConnectionError
from urllib3.response import BaseHTTPResponse
from urllib3.util import Timeout
from urllib3.util.ssl_ import create_urllib3_context

from licensehub.outbound.addresses import Address
from licensehub.outbound.deadlines import Deadline
from licensehub.outbound.sessions import WatchedTlsPool


class Broken(StrEnum):
    """The reasons for which there is no answer."""

    UNREACHABLE = "unreachable"
    CERTIFICATE = "certificate"
    TOO_SLOW = "too_slow"
    BROKE_OFF = "broke_off"


class NoAnswer(Exception):
    """The other side may have got the request all the same, unless it is `UNREACHABLE` or `CERTIFICATE`."""

    def __init__(self, reason: Broken) -> None:
        super().__init__(str(reason))
        self.reason = reason


@dataclass(frozen=True, slots=True)
class Limits:
    """Seconds to connect, seconds for the whole exchange, and the bytes of the answer that are read."""

    connect: float = 5.0
    total: float = 15.0
    answer: int = 4096


LIMITS = Limits()


@dataclass(frozen=True, slots=True)
class Answer:
    """`body` has the first bytes only. `retry_after` is the header as it came."""

    status: int
    body: bytes
    retry_after: str = ""


def post(
    address: Address,
    numbers: Sequence[str],
    body: bytes,
    headers: Mapping[str, str],
    *,
    ca_bundle: str = "",
    limits: Limits = LIMITS,
) -> Answer:
    """The answer, whatever its status. The numbers are tried in their order until one takes the connection.

    Raises NoAnswer. OSError if `ca_bundle` cannot be read.
    """
    context = tls_context(ca_bundle)
    with Deadline(limits.total) as deadline:
        for number in numbers:
            try:
                answer = _exchange(address, number, body, headers, context, limits)
            except (HTTPError, OSError) as error:
                reason = _reason_of(error, deadline)
                if reason != Broken.UNREACHABLE or number == numbers[-1]:
                    # `from None`: the library's exception holds the address, which may be secret.
                    raise NoAnswer(reason) from None
            else:
                if deadline.expired:
                    # The end of a body without a length looks the same as our own cut.
                    raise NoAnswer(Broken.TOO_SLOW)
                return answer
    raise NoAnswer(Broken.UNREACHABLE)


def _exchange(
    address: Address,
    number: str,
    body: bytes,
    headers: Mapping[str, str],
    context: ssl.SSLContext,
    limits: Limits,
) -> Answer:
    # https://urllib3.readthedocs.io/en/stable/advanced-usage.html#custom-sni-hostname
    pool = WatchedTlsPool(number, address.port, ssl_context=context, server_hostname=address.host)
    # Not compressed, so that few bytes are few.
    sent = {**headers, "Host": address.authority, "Accept-Encoding": "identity"}
    with pool:
        answer: BaseHTTPResponse = pool.urlopen(
            "POST",
            address.target,
            body=body,
            headers=sent,
            redirect=False,
            retries=False,
            preload_content=False,
            timeout=Timeout(connect=limits.connect, read=limits.total),
        )
        try:
            start = answer.read(limits.answer, decode_content=False)
        finally:
            answer.close()
    return Answer(answer.status, start, answer.headers.get("Retry-After", ""))


def _reason_of(error: Exception, deadline: Deadline) -> Broken:
    if deadline.expired:
        return Broken.TOO_SLOW
    if error.args and isinstance(error.args[0], ssl.SSLCertVerificationError):
        return Broken.CERTIFICATE
    if isinstance(error, NewConnectionError) or not deadline.connected:
        return Broken.UNREACHABLE
    return Broken.TOO_SLOW if "timed out" in str(error) else Broken.BROKE_OFF


@cache
def tls_context(ca_bundle: str) -> ssl.SSLContext:
    """A context that trusts the public authorities, and those in this file. Raises OSError."""
    context = create_urllib3_context()
    context.load_verify_locations(DEFAULT_CA_BUNDLE_PATH)
    if ca_bundle:
        context.load_verify_locations(ca_bundle)
    return context
