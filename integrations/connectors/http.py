"""The HTTP session of every connector: deadlines, retries and the rate budget; secrets appear nowhere.

It knows HTTP. The vendor's folder says what a status means at that vendor. `transport` is the only module that uses the
network.
"""

from __future__ import annotations

import math
import random
import time
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import quote, urlencode

from integrations.connectors.contract import ConnectorError, OutcomeUnknown, RateBudget, english
from integrations.connectors.rate_limit import RateLimiter
from integrations.connectors.request import DEFAULT_LIMITS as DEFAULT_LIMITS
from integrations.connectors.request import UNAUTHORIZED, Call, Failure, checked_base, checked_token
from integrations.connectors.request import Limits as Limits
from integrations.connectors.request import Rate as Rate
from integrations.connectors.response import Answer, AnswerCheck
from integrations.connectors.transport import Transport
from licensehub import stopping

Token = Callable[[str], str]

_guard: Callable[[], None] | None = None


def set_call_guard(guard: Callable[[], None] | None) -> None:
    """`guard` is called before each request. It raises to stop it, e.g. while a database transaction is open."""
    global _guard
    _guard = guard


class SessionToken:
    """The token of a session. `source("")` gives it; `source(rejected)` gives a newer one than the rejected one."""

    def __init__(self, source: Token, *, vendor: str, slot: str) -> None:
        self._source = source
        self._vendor = vendor
        self._slot = slot

    def current(self) -> str:
        """The token to send. Raises ConfigError for a token that cannot be sent, and as `source`."""
        return checked_token(self._source(""), vendor=self._vendor, slot=self._slot)

    def newer(self, rejected: str) -> str | None:
        """A newer token than `rejected`; None when there is none. Raises as `current`."""
        token = checked_token(self._source(rejected), vendor=self._vendor, slot=self._slot)
        return token if token != rejected else None


class ApiSession:
    """JSON calls to one address: `get`, which is retried, and `patch` and `post`, which are never retried.

    `token` is the source of a `SessionToken`; with None, no token is sent. `requests` counts the requests sent,
    `credits` what they took out of the budget. A wait that the budget or the vendor asks for and that is longer than
    `longest_wait` (seconds) is left to the caller: it raises TransientError with `retry_after`.
    """

    def __init__(
        self,
        *,
        vendor: str,
        slot: str,
        base: str,
        token: Token | None,
        budget: RateBudget,
        explain: Callable[[Answer], ConnectorError],
        media_type: str = "application/json",
        limits: Limits = DEFAULT_LIMITS,
        longest_wait: float = math.inf,
    ) -> None:
        self.requests = 0
        self.credits = 0
        self._vendor = vendor
        self._base = checked_base(base, slot=slot)
        self._limits = limits
        self._token = SessionToken(token, vendor=vendor, slot=slot) if token else None
        self._longest_wait = longest_wait
        self._limiter = RateLimiter(budget, vendor=vendor, longest_wait=longest_wait)
        self._transport = Transport(vendor=vendor, slot=slot, media_type=media_type, limits=limits)
        self._check = AnswerCheck(explain, vendor=vendor, slot=slot)

    def get(
        self,
        path: str,
        *,
        rate: Rate,
        query: Mapping[str, str | int] | None = None,
        rejections: frozenset[int] = UNAUTHORIZED,
        token: str | None = None,
    ) -> Answer:
        """Raises ConfigError, PermanentError, TransientError or BadAnswer. `rejections` mean that the token is dead.

        With `token`, that one is sent and never renewed: the session's source is not called.
        """
        call = self._call("GET", path, rate=rate, query=query, rejections=rejections)
        for number in range(1, self._limits.tries + 1):
            try:
                return self._authorized(call, token)
            except Failure as failure:
                last = failure
            if not last.retry or not self._pause(call, number=number, at_least=last.wait):
                break
        raise last.error

    def patch(self, path: str, body: Mapping[str, Any], *, rate: Rate) -> Answer:
        """One try. Raises as `get`, and OutcomeUnknown when it was sent and the answer cannot be used."""
        return self._once(self._call("PATCH", path, rate=rate, body=body))

    def post(
        self,
        path: str,
        *,
        rate: Rate,
        form: Mapping[str, str] | None = None,
        body: Mapping[str, Any] | None = None,
    ) -> Answer:
        """One try, with a form or a JSON body. Raises as `patch`."""
        return self._once(self._call("POST", path, rate=rate, body=body, form=form))

    def reserve(self, rate: Rate) -> None:
        """Wait for the units of one call now; the next call in this bucket does not wait. Raises TransientError."""
        self._limiter.reserve(rate, ends_at=time.monotonic() + self._limits.total)

    def current_token(self) -> str:
        """The token for `get`, e.g. in another thread; "" where none is sent. Raises ConfigError, TransientError."""
        return self._token.current() if self._token else ""

    def _call(
        self,
        method: str,
        path: str,
        *,
        rate: Rate,
        query: Mapping[str, str | int] | None = None,
        **parts: Any,
    ) -> Call:
        # A comma separates the values of one parameter and stays; "+" and "@" inside a value are escaped.
        tail = f"?{urlencode(query, safe=',', quote_via=quote)}" if query else ""
        return Call(
            method=method,
            url=f"{self._base}{path}{tail}",
            rate=rate,
            ends_at=time.monotonic() + self._limits.total,
            **parts,
        )

    def _once(self, call: Call) -> Answer:
        # A kept connection may be dead already. A write over it would have an unknown outcome for no reason.
        self._transport.close()
        try:
            return self._authorized(call)
        except Failure as failure:
            error = failure.error
            if not failure.sent:
                raise error from None
        raise OutcomeUnknown(
            english("{message} It is not known whether {vendor} has made the change.").format(
                message=error.message, vendor=self._vendor
            ),
            status=error.status,
            code=error.code,
        )

    def _authorized(self, call: Call, token: str | None = None) -> Answer:
        """One try; if the vendor rejects the token and there is a newer one, once more with that."""
        if self._token is None or token is not None:
            return self._try(call, token or "")
        current = self._token.current()
        try:
            return self._try(call, current)
        except ConnectorError as error:
            if error.status not in call.rejections or (newer := self._token.newer(current)) is None:
                raise
        return self._try(call, newer)

    def _try(self, call: Call, token: str) -> Answer:
        """One request. Raises Failure or the vendor's error."""
        self._limiter.wait(call.rate, ends_at=call.ends_at)
        if _guard is not None:
            _guard()
        self.requests += 1
        self.credits += call.rate.cost
        answer = self._transport.send(call, token)
        held = self._limiter.hold(call.rate, status=answer.status, headers=answer.headers)
        return self._check.accept(call, answer, held=held)

    def _pause(self, call: Call, *, number: int, at_least: float) -> bool:
        """Full jitter, so that workers do not retry at the same moment. False when no try or no time is left.

        https://aws.amazon.com/builders-library/timeouts-retries-and-backoff-with-jitter/
        """
        if number >= self._limits.tries:
            return False
        longest = min(self._limits.max_backoff, self._limits.backoff * 2**number)
        pause = max(at_least, random.uniform(0, longest))  # noqa: S311 - spreads load, guards nothing
        if pause >= call.seconds_left() or at_least > self._longest_wait:
            return False
        return stopping.sleep(pause)
