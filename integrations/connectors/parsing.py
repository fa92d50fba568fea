"""Reads values from a vendor's answer. No value is trusted before its type and content are checked."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from integrations.connectors.contract import BadAnswer

MAX_TEXT = 254

# NUL is refused by PostgreSQL; a lone surrogate (JSON's "\ud800") cannot be written to a UTF-8 column.
_UNSTORABLE = re.compile("[\x00\ud800-\udfff]")
# An id becomes a part of a URL: dots, slashes and escapes are not allowed.
_ID = re.compile(r"[A-Za-z0-9_-]{1,40}", re.ASCII)


def clean(value: object, *, max_length: int = MAX_TEXT) -> str:
    """A text that any database can store, at most `max_length` characters; any other type becomes ""."""
    if not isinstance(value, str):
        return ""
    if not (value.isascii() and value.isprintable()):  # almost all texts; saves time in large downloads
        value = _UNSTORABLE.sub("", value)
    return value.strip()[:max_length]


def mapping(value: object) -> Mapping[str, Any]:
    """The JSON object, or an empty one for any other type."""
    return value if isinstance(value, dict) else {}


def safe_id(value: object, *, where: str) -> str:
    """An id that is safe in a URL. Raises BadAnswer with the place (`where`), never with the value."""
    # Almost all ids match without the slower regular expression.
    if isinstance(value, str) and ((value.isalnum() and value.isascii() and len(value) <= 40) or _ID.fullmatch(value)):
        return value
    raise BadAnswer(f"{where} has no usable id. Nothing of this answer is used.", code="bad_id")
