"""Reading values that a stranger sent: nothing is taken for what it should be before it was looked at."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from integrations.connectors.contract import BadAnswer

MAX_TEXT = 254

# NUL is refused by PostgreSQL; a lone surrogate (JSON's "\ud800") can be written to no UTF-8 column.
_UNSTORABLE = re.compile("[\x00\ud800-\udfff]")
# An id becomes a part of an address: no dots, slashes or escapes may get there.
_ID = re.compile(r"[A-Za-z0-9_-]{1,40}", re.ASCII)


def clean(value: object, *, max_length: int = MAX_TEXT) -> str:
    """A text that any database can store, at most `max_length` characters; whatever is no text becomes ""."""
    if not isinstance(value, str):
        return ""
    if not (value.isascii() and value.isprintable()):  # a hundred thousand times a download, and nearly always is
        value = _UNSTORABLE.sub("", value)
    return value.strip()[:max_length]


def mapping(value: object) -> Mapping[str, Any]:
    """The JSON object, or an empty one in its place."""
    return value if isinstance(value, dict) else {}


def safe_id(value: object, *, where: str) -> str:
    """An id that may stand in an address. Raises BadAnswer naming `where` it was, never what else was in there."""
    # The plain ones, which nearly all are, without the expression: a hundred thousand times a download.
    if isinstance(value, str) and ((value.isalnum() and value.isascii() and len(value) <= 40) or _ID.fullmatch(value)):
        return value
    raise BadAnswer(f"{where} has no usable id. Nothing of this answer is used.", code="bad_id")
