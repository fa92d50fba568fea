"""Reads values from a vendor's answer. No value is trusted before its type and content are checked."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from integrations.connectors.contract import BadAnswer, english

MAX_TEXT = 254
# Clocks and time zones differ, so a date may be this far in the future.
MAX_AHEAD = timedelta(days=1)

# NUL is refused by PostgreSQL; a lone surrogate (JSON's "\ud800") cannot be written to a UTF-8 column.
_UNSTORABLE = re.compile("[\x00\ud800-\udfff]")
# Control characters, and those that turn the direction of the text after them, e.g. of the rest of a page.
_CONTROLS = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]")
# Whole numbers up to 18 digits. JSON may have any number of digits, which would take long to write as text.
_MAX_NUMBER = 10**18
# An id becomes a part of a URL: dots, slashes and escapes are not allowed.
_ID = re.compile(r"[A-Za-z0-9_-]{1,40}", re.ASCII)


def clean(value: object, *, max_length: int = MAX_TEXT) -> str:
    """A text that any database can store, at most `max_length` characters; any other type becomes ""."""
    if not isinstance(value, str):
        return ""
    if not (value.isascii() and value.isprintable()):  # almost all texts; saves time in large downloads
        value = _UNSTORABLE.sub("", value)
    return value.strip()[:max_length]


def one_line(value: object, *, max_length: int = MAX_TEXT) -> str:
    """A text of a person's entry, for one line of a page. A whole number becomes its digits, any other type ""."""
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value) if abs(value) < _MAX_NUMBER else ""
    if not isinstance(value, str):
        return ""
    # Cut first: a text of some megabytes is not searched as a whole.
    return clean(" ".join(_CONTROLS.sub(" ", value[: max_length * 4]).split()), max_length=max_length)


def mapping(value: object) -> Mapping[str, Any]:
    """The JSON object, or an empty one for any other type."""
    return value if isinstance(value, dict) else {}


def safe_id(value: object, *, where: str) -> str:
    """An id that is safe in a URL. Raises BadAnswer with the place (`where`), never with the value."""
    # Almost all ids match without the slower regular expression.
    if isinstance(value, str) and ((value.isalnum() and value.isascii() and len(value) <= 40) or _ID.fullmatch(value)):
        return value
    raise BadAnswer(
        english("{where} has no usable id. Nothing of this answer is used.").format(where=where), code="bad_id"
    )


def is_plausible(moment: datetime, *, earliest: datetime, now: datetime) -> bool:
    """Whether a date of a member can be right: the vendor existed then, and it is not later than tomorrow."""
    return earliest <= moment <= now + MAX_AHEAD
