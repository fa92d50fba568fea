"""Texts for servers of others: without secrets, and without the addresses of people."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

from licensehub.operations.logs import without_any_secret

PERSON: Final = re.compile(r"[\w.!#$%&'*+/=?^`{|}~-]+@[\w-]+(?:\.[\w-]+)+")
LEFT_OUT: Final = "***"


def scrubbed(value: Any) -> Any:
    """The same structure with each text in it searched, also the keys."""
    if isinstance(value, str):
        return PERSON.sub(LEFT_OUT, without_any_secret(value))
    if isinstance(value, Mapping):
        return {scrubbed(key): scrubbed(part) for key, part in value.items()}
    if isinstance(value, (list, tuple)):
        return [scrubbed(part) for part in value]
    return value
