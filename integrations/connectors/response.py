"""A complete answer of a vendor, and the errors for those statuses that mean the same at every vendor."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from http import HTTPStatus
from typing import Any, NoReturn

import orjson

from integrations.connectors.contract import ConfigError, ConnectorError, TransientError, english
from integrations.connectors.rate_limit import retry_after
from integrations.connectors.request import Call, Failure, host_of

RETRY_STATUSES = frozenset({HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.TOO_EARLY, HTTPStatus.TOO_MANY_REQUESTS})


@dataclass(frozen=True)
class Answer:
    """A complete answer. Its JSON is parsed on first use: most errors need only the status."""

    status: int
    headers: Mapping[str, str]
    body: bytes = field(repr=False)

    @property
    def data(self) -> Any:
        """The JSON; None where there is none."""
        return self._parsed[0]

    @property
    def garbled(self) -> bool:
        """The body is neither empty nor JSON."""
        return self._parsed[1]

    @property
    def is_web_page(self) -> bool:
        return self.garbled and self.body.lstrip()[:1] == b"<"

    @cached_property
    def _parsed(self) -> tuple[Any, bool]:
        return _parse(self.body)


def _parse(body: bytes) -> tuple[Any, bool]:
    """The JSON and False, or None and True for something else. An empty body gives None and False."""
    if not body.strip():
        return None, False
    try:
        return orjson.loads(body), False
    except ValueError:
        return _parse_leniently(body)


def _parse_leniently(body: bytes) -> tuple[Any, bool]:
    """orjson is strict: half a surrogate pair in one member's name must not make the whole page unreadable."""
    try:
        return json.loads(body, parse_constant=_refuse_constant), False
    except (ValueError, RecursionError):
        return None, True


def _refuse_constant(name: str) -> NoReturn:
    """Python reads NaN and Infinity, which are not JSON (RFC 8259)."""
    raise ValueError(f"{name} is not JSON")


class AnswerCheck:
    """Accepts an answer, or raises the error for its status. `explain` gives the error for a status 4xx."""

    def __init__(self, explain: Callable[[Answer], ConnectorError], *, vendor: str, slot: str) -> None:
        self._explain = explain
        self._vendor = vendor
        self._slot = slot

    def accept(self, call: Call, answer: Answer, *, held: float) -> Answer:
        """Raises Failure for a try that failed, else the vendor's error."""
        status = answer.status
        if status in RETRY_STATUSES or status >= 500:
            raise self._not_now(answer, held=held)
        if 300 <= status < 400:
            raise self._redirect(call, status)
        if status >= 400:
            raise self._explain(answer)
        if answer.garbled or (call.method == "GET" and answer.data is None):
            raise Failure(self._not_json(answer), sent=True)
        return answer

    def _not_now(self, answer: Answer, *, held: float) -> Failure:
        status = answer.status
        if status == HTTPStatus.TOO_MANY_REQUESTS:
            text = english(
                "{vendor} asks for fewer requests (429), and for none in the next {held:.0f} seconds."
            ).format(vendor=self._vendor, held=held)
            # No `wait`: the next try waits for the budget, which is held.
            return Failure(TransientError(text, status=status, code="rate_limited", retry_after=held), sent=False)
        wait = retry_after(answer.headers) or 0.0
        text = english("{vendor} has a problem of its own ({status}).").format(vendor=self._vendor, status=status)
        error = TransientError(text, status=status, code="server_error", retry_after=wait)
        return Failure(error, sent=status != HTTPStatus.TOO_EARLY, wait=wait)

    def _redirect(self, call: Call, status: int) -> ConfigError:
        text = english(
            "{vendor} answered with a redirect ({status}), which is not followed. Check the address "
            "{host} in the settings of LicenseHub."
        ).format(vendor=self._vendor, status=status, host=host_of(call.url))
        return ConfigError(text, slot=self._slot, status=status, code="redirect")

    def _not_json(self, answer: Answer) -> TransientError:
        """The answer is not the vendor's, or was cut off: it is an outage, and says nothing about the data."""
        text = english(
            "{vendor} answered with something that is not data (JSON). A proxy or a maintenance page may be in between."
        )
        if answer.is_web_page:
            text = english(
                "{vendor} answered with a web page instead of data. A proxy or a maintenance page may be in between."
            )
        return TransientError(text.format(vendor=self._vendor), status=answer.status, code="not_json")
