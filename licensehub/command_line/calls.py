"""The parts that commands share: their context, pages of a list, names of profiles, and acts that happen once."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final, TypeVar

import click

from licensehub.api.client import ApiError, Client
from licensehub.command_line import output
from licensehub.command_line.access import client_for

T = TypeVar("T")
PAGE: Final = 200
MAX_PROFILES: Final = 10_000
TRIES: Final = 3
RETRY_DELAY: Final = 2.0  # seconds


@dataclass
class Session:
    """One call of `licensehub`."""

    url: str
    token_file: str
    as_json: bool = False

    @cached_property
    def client(self) -> Client:
        return client_for(self.url, self.token_file)

    def show(self, value: Any, show: Callable[[Any], None]) -> None:
        """Print it as JSON if that was asked for, else by `show`."""
        if self.as_json:
            output.show_json(value)
        else:
            show(value)

    def act(self, call: Callable[[str], T]) -> T:
        """Do an act once. Without an answer it is repeated with the same key, so that it never happens twice."""
        key = str(uuid.uuid4())
        for left in reversed(range(TRIES)):
            try:
                return call(key)
            except ApiError as error:
                if not left or not (error.status in (0, 502, 503, 504) or error.code == "still_running"):
                    raise
                output.note(f"{error} Trying again.")
                time.sleep(RETRY_DELAY)
        raise AssertionError("unreachable")

    def profile(self, given: str) -> int:
        """The id of a profile, by its id or by its name. Raises click.UsageError."""
        if given.isascii() and given.isdecimal():
            return int(given)
        known = list(pages(self.client.profiles, MAX_PROFILES))
        for row in known:
            if row["name"] == given:
                return int(row["id"])
        names = ", ".join(f"{row['id']} ({row['name']})" for row in known[:20])
        raise click.UsageError(output.printable(f"There is no profile “{given}”. Known are: {names or 'none'}."))


def pages(call: Callable[..., Mapping[str, Any]], most: int | None = None, **given: Any) -> Iterator[dict[str, Any]]:
    """The rows of a list, page by page; at most so many."""
    cursor: str | None = None
    while most is None or most > 0:
        answer = call(cursor=cursor, limit=PAGE if most is None else min(PAGE, most), **given)
        rows, following = answer["items"], answer["next_cursor"]
        yield from rows
        if following is None:
            return
        if not rows or following == cursor:
            raise ApiError(0, {"code": "not_licensehub", "detail": "The list has no end: its next page is this one."})
        cursor = following
        if most is not None:
            most -= len(rows)
