"""A complete answer of a vendor, with its JSON."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, NoReturn

import orjson


@dataclass(frozen=True)
class Answer:
    """A complete answer. What it says is read when it is asked for, so that what is next can be sent before that."""

    status: int
    headers: Mapping[str, str]
    body: bytes = field(repr=False)

    @property
    def data(self) -> Any:
        """The JSON; None where there is none."""
        return self._read[0]

    @property
    def garbled(self) -> bool:
        """There was something, and it was no JSON."""
        return self._read[1]

    @property
    def web_page(self) -> bool:
        return self.garbled and self.body.lstrip()[:1] == b"<"

    @cached_property
    def _read(self) -> tuple[Any, bool]:
        return _parsed(self.body)


def _parsed(body: bytes) -> tuple[Any, bool]:
    """The JSON and False, or None and True when it is none. An empty body is None and False."""
    if not body.strip():
        return None, False
    try:
        return orjson.loads(body), False
    except ValueError:
        return _parsed_leniently(body)


def _parsed_leniently(body: bytes) -> tuple[Any, bool]:
    """orjson is strict: half a surrogate pair in one member's name must not spoil the whole page."""
    try:
        return json.loads(body, parse_constant=_refuse_constant), False
    except (ValueError, RecursionError):
        return None, True


def _refuse_constant(name: str) -> NoReturn:
    """Python reads NaN and Infinity, which RFC 8259 does not know."""
    raise ValueError(f"{name} is not JSON")
