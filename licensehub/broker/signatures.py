"""Sign the messages of the broker, so that nobody who can only write to the broker starts a task.

The signature is an HMAC-SHA-256 (RFC 2104) with BROKER_KEY over everything in a message that a worker reads. The two
marks that say that a message is delivered again are left out: kombu adds them on the way.
"""

from __future__ import annotations

import hmac
import json
from collections.abc import Mapping
from typing import Any, Final

from django.conf import settings

NAME: Final = "signature"
AGAIN: Final = "redelivered"
_canonical = json.JSONEncoder(sort_keys=True, separators=(",", ":"), default=str).encode


def signed(message: Mapping[str, Any]) -> dict[str, Any]:
    """The message with its signature."""
    return {**message, NAME: _signature(message)}


def is_signed(message: object) -> bool:
    """Whether one of our processes made this message, and nobody changed it."""
    if not isinstance(message, dict) or not isinstance(message.get(NAME), str):
        return False
    try:
        return hmac.compare_digest(message[NAME].encode(), _signature(message).encode())
    except (TypeError, ValueError, AttributeError, RecursionError):
        return False


def _signature(message: Mapping[str, Any]) -> str:
    properties = dict(message.get("properties") or {})
    properties["delivery_info"] = _without_mark(properties.get("delivery_info") or {})
    parts = [
        message.get("body"),
        message.get("content-type"),
        message.get("content-encoding"),
        _without_mark(message.get("headers") or {}),
        properties,
    ]
    return hmac.digest(settings.BROKER_KEY.encode(), _canonical(parts).encode(), "sha256").hex()


def _without_mark(values: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in values.items() if name != AGAIN}
