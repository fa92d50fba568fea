"""A complete answer of a vendor, with its JSON."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NoReturn

import orjson
import requests


@dataclass(frozen=True, slots=True)
class Answer:
    """A complete answer. `data` is its JSON; None with `garbled` when there was something else."""

    status: int
    headers: Mapping[str, str]
    data: Any
    garbled: bool = False
    web_page: bool = False


def read_answer(response: requests.Response, body: bytes) -> Answer:
    """The answer with its body, which was read already."""
    data, garbled = _parsed(body)
    return Answer(
        status=response.status_code,
        headers=response.headers,
        data=data,
        garbled=garbled,
        web_page=garbled and body.lstrip()[:1] == b"<",
    )


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
