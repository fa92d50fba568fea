"""One HTTP session for every connector: deadlines, retries, the rate budget, and no secrets in sight.

Only this file talks to the network, through `sender` and `wire`. It knows HTTP; what a status means in a vendor's
words, the vendor's folder says.
"""

from __future__ import annotations

import math
import random
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from threading import Lock
from typing import Any, NoReturn
from urllib.parse import quote, urlencode

import requests
from urllib3.exceptions import HTTPError
from urllib3.response import HTTPResponse

from integrations.connectors.access import checked_base, checked_token, host_of
from integrations.connectors.contract import (
    BadAnswer,
    ConfigError,
    ConnectorError,
    OutcomeUnknown,
    RateBudget,
    TransientError,
)
from integrations.connectors.rate_headers import hold_seconds, retry_after
from integrations.connectors.request import DEFAULT_LIMITS as DEFAULT_LIMITS
from integrations.connectors.request import UNAUTHORIZED, Begun, Call, Failure, Idle
from integrations.connectors.request import Limits as Limits
from integrations.connectors.request import Rate as Rate
from integrations.connectors.response import Answer
from integrations.connectors.sender import Sender
from integrations.connectors.wire import Watch

TOO_MANY_REQUESTS = 429
TOO_EARLY = 425
LATER = frozenset({408, TOO_EARLY, TOO_MANY_REQUESTS})

Token = Callable[[str], str]

_guard: Callable[[], None] | None = None


def set_call_guard(guard: Callable[[], None] | None) -> None:
    """`guard` is called before each request and stops it by raising, e.g. while a database transaction is open."""
    global _guard
    _guard = guard


class ApiSession:
    """JSON calls to one address: `get`, which may be tried again, and `patch` and `post`, which never are.

    `token` gives the token to send, or, when asked with the one that was rejected, a newer. Without it, none is sent.
    `explain` turns an answer of status 4xx into the error that the caller gets. `requests` counts what was sent,
    and `credits` what it took out of the budget.
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
    ) -> None:
        self.requests = 0
        self.credits = 0
        self._counting = Lock()  # the page behind one that is tried again may be on its way
        self._vendor = vendor
        self._slot = slot
        self._base = checked_base(base, slot=slot)
        self._budget = budget
        self._explain = explain
        self._limits = limits
        self._token = token
        # Bucket -> the moment until which the room that was taken in it may be used.
        self._reserved: dict[str, float] = {}
        self._quick = False
        self._sender = Sender(media_type=media_type, limits=limits)

    def get(
        self,
        path: str,
        *,
        rate: Rate,
        query: Mapping[str, str | int] | None = None,
        rejections: frozenset[int] = UNAUTHORIZED,
        begun: Begun | None = None,
    ) -> Answer:
        """Raises ConfigError, PermanentError, TransientError or BadAnswer. `rejections` mean that the token is dead.

        `begun` is the first try of this very call, see `begin`.
        """
        call = begun.call if begun else self._call("GET", path, rate=rate, query=query, rejections=rejections)
        for number in range(1, self._limits.tries + 1):
            try:
                return self._read_through(call, begun if number == 1 else None)
            except Failure as failure:
                last = failure
            if not last.again or not self._pause(call, number=number, at_least=last.wait):
                break
        raise last.error

    def token(self) -> str:
        """The token that is good now; "" where none is sent. Raises as what gives it."""
        return self._token("") if self._token else ""

    def begin(self, path: str, *, rate: Rate, query: Mapping[str, str | int] | None = None, token: str) -> Begun:
        """A `get` whose first try will be an `attempt`. Raises ConfigError for a token that cannot be sent."""
        return Begun(self._call("GET", path, rate=rate, query=query, token=self._checked(token) if self._token else ""))

    def attempt(self, begun: Begun, idle: Idle) -> Answer:
        """The first try of what was begun, by any thread; `idle` is called once it has nothing to do but wait.

        Where answers come quickly, room for the call behind this one is taken meanwhile.
        """
        rate, started = begun.call.rate, time.monotonic()

        def wait() -> None:
            idle()
            if self._quick:
                self._take_ahead(rate)

        answer = self._try(begun.call, wait)
        self._quick = time.monotonic() - started < rate.keeps
        return answer

    def reserve(self, rate: Rate) -> None:
        """Wait for the room of one call now; the next one out of this bucket need not. Raises TransientError."""
        if rate.bucket not in self._reserved:
            self._take(rate, ends_at=time.monotonic() + self._limits.total)
            self._reserved[rate.bucket] = math.inf

    def patch(self, path: str, body: Mapping[str, Any], *, rate: Rate) -> Answer:
        """One try. Raises as `get`, and OutcomeUnknown when it was sent and the answer is of no use."""
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

    def _once(self, call: Call) -> Answer:
        # A kept connection may have died unnoticed, which would leave the outcome in doubt for nothing.
        self._sender.close()
        try:
            return self._read_through(call)
        except Failure as failure:
            if failure.sent:
                self._raise_unknown(failure.error)
            raise failure.error from None

    def _raise_unknown(self, error: ConnectorError) -> NoReturn:
        raise OutcomeUnknown(
            f"{error.message} It is not known whether {self._vendor} has made the change: look before trying again.",
            status=error.status,
            code=error.code,
        ) from None

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

    def _read_through(self, call: Call, begun: Begun | None = None) -> Answer:
        """The answer, if it holds what the call is made for. Raises as `_authorized`."""
        answer = self._authorized(call, begun)
        if answer.garbled or (call.method == "GET" and answer.data is None):
            raise Failure(self._garbage(answer), sent=True)
        return answer

    def _authorized(self, call: Call, begun: Begun | None = None) -> Answer:
        """With the token that is good now; when it is rejected and there is a newer, once more with that."""
        if self._token is None:
            return begun.answer.result() if begun else self._try(call)
        token = begun.call.token if begun else self._token("")
        try:
            return begun.answer.result() if begun else self._try(self._with(call, token))
        except ConnectorError as error:
            if error.status not in call.rejections:
                raise
            newer = self._token(token)
            if newer == token:
                raise
            return self._try(self._with(call, newer))

    def _with(self, call: Call, token: str) -> Call:
        return replace(call, token=self._checked(token))

    def _checked(self, token: str) -> str:
        return checked_token(token, vendor=self._vendor, slot=self._slot)

    def _try(self, call: Call, idle: Idle | None = None) -> Answer:
        if self._reserved.pop(call.rate.bucket, 0.0) < time.monotonic():
            self._take(call.rate, ends_at=call.ends_at, idle=idle)
        if _guard is not None:
            _guard()
        with self._counting:
            self.requests += 1
            self.credits += call.rate.cost
        answer = self._exchange(call, idle)
        held = hold_seconds(status=answer.status, headers=answer.headers, window=call.rate.window)
        if held > 0:
            self._reserved.pop(call.rate.bucket, None)
            self._budget.drain(call.rate.bucket, seconds=held)
        return self._judge(call, answer, held=held)

    def _take(self, rate: Rate, *, ends_at: float, idle: Idle | None = None) -> None:
        """Wait for the shared budget. Raises TransientError when that would take longer than until `ends_at`."""
        while True:
            wait = self._budget.take(rate.bucket, cost=rate.cost, limit=rate.limit, window=rate.window)
            if wait <= 0:
                return
            if time.monotonic() + wait >= ends_at:
                raise TransientError(
                    f"{self._vendor}'s rate limit is used up for the next {wait:.0f} seconds. "
                    "LicenseHub goes on by itself after that.",
                    retry_after=wait,
                    code="rate_limited",
                )
            if idle:
                idle()
            time.sleep(wait)

    def _take_ahead(self, rate: Rate) -> None:
        """The room of one call more, if there is some now. It keeps for a moment only, see `Rate.keeps`."""
        if self._budget.take(rate.bucket, cost=rate.cost, limit=rate.limit, window=rate.window) <= 0:
            self._reserved[rate.bucket] = time.monotonic() + rate.keeps

    def _pause(self, call: Call, *, number: int, at_least: float) -> bool:
        """Full jitter, so that workers do not come back all at once; False when no time is left for another try.

        https://aws.amazon.com/builders-library/timeouts-retries-and-backoff-with-jitter/
        """
        if number >= self._limits.tries:
            return False
        most = min(self._limits.longest_backoff, self._limits.backoff * 2**number)
        pause = max(at_least, random.uniform(0, most))  # noqa: S311 - spreads load, guards nothing
        if pause >= call.left():
            return False
        time.sleep(pause)
        return True

    def _exchange(self, call: Call, idle: Idle | None) -> Answer:
        with Watch(call.left(), idle) as watching:
            try:
                with self._sender.send(call) as response:
                    body = self._read(response)
            except (requests.RequestException, HTTPError, OSError) as error:
                # `from None`: the library's exception carries the request, and with it the token.
                raise self._broken(error, call, watching) from None
            if watching.expired:
                # Our own cut may look like the regular end of a body without a length.
                raise self._too_slow(sent=True)
        return Answer(response.status, response.headers, body)

    def _read(self, response: HTTPResponse) -> bytes:
        """The body, decompressed: of a small file that unpacks to a huge one, no more than is allowed."""
        body = response.read(self._limits.body + 1, decode_content=True)
        if len(body) > self._limits.body:
            raise self._too_large(response.status)
        return body

    def _too_large(self, status: int) -> Failure:
        text = f"{self._vendor}'s answer is larger than {self._limits.body:,} bytes and was not read to its end."
        return Failure(BadAnswer(text, status=status, code="too_large"), sent=True, again=False)

    def _broken(self, error: Exception, call: Call, watching: Watch) -> Exception:
        """What it means for us that the exchange broke off. Before the connection stood, nothing was sent."""
        if watching.expired or isinstance(error, requests.Timeout) or "timed out" in str(error):
            return self._too_slow(sent=watching.connected)
        if "CERTIFICATE_VERIFY_FAILED" in str(error):
            return self._untrusted(call)
        if not watching.connected:
            text = f"{host_of(call.url)} cannot be reached from this machine. LicenseHub tries again by itself."
        else:
            text = f"{self._vendor}'s answer broke off."
        return Failure(TransientError(text, code=type(error).__name__), sent=watching.connected)

    def _untrusted(self, call: Call) -> ConfigError:
        text = (
            f"The TLS certificate of {host_of(call.url)} cannot be trusted, so nothing was sent. Ask whoever runs the "
            "network of this machine."
        )
        return ConfigError(text, slot=self._slot, code="certificate")

    def _too_slow(self, *, sent: bool) -> Failure:
        text = f"{self._vendor} did not answer in time. LicenseHub tries again by itself."
        return Failure(TransientError(text, code="timeout"), sent=sent)

    def _judge(self, call: Call, answer: Answer, *, held: float) -> Answer:
        """The answer, if its status is that of success. Raises Failure or the vendor's error."""
        status = answer.status
        if status in LATER or status >= 500:
            raise self._not_now(answer, held=held)
        if 300 <= status < 400:
            raise self._redirect(call, status)
        if status >= 400:
            raise self._explain(answer)
        return answer

    def _redirect(self, call: Call, status: int) -> ConfigError:
        text = (
            f"{self._vendor} answered with a redirect ({status}), which is not followed. Check the address "
            f"{host_of(call.url)} in the settings of LicenseHub."
        )
        return ConfigError(text, slot=self._slot, status=status, code="redirect")

    def _not_now(self, answer: Answer, *, held: float) -> Failure:
        status = answer.status
        if status == TOO_MANY_REQUESTS:
            text = f"{self._vendor} asks for fewer requests (429). LicenseHub goes on in {held:.0f} seconds by itself."
            # The drained budget makes the next try wait.
            return Failure(TransientError(text, status=status, code="rate_limited", retry_after=held), sent=False)
        wait = retry_after(answer.headers) or 0.0
        text = f"{self._vendor} has a problem of its own ({status}). LicenseHub tries again by itself."
        error = TransientError(text, status=status, code="server_error", retry_after=wait)
        return Failure(error, sent=status != TOO_EARLY, wait=wait)

    def _garbage(self, answer: Answer) -> BadAnswer:
        what = "with a web page instead of data" if answer.web_page else "with something that is not data (JSON)"
        return BadAnswer(
            f"{self._vendor} answered {what}. A proxy or a maintenance page may stand in between; try again later.",
            status=answer.status,
            code="not_json",
        )
