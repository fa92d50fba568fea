"""Sign the messages of the broker, so that nobody who can only write to the broker starts a task.

The signature is an HMAC-SHA-256 (RFC 2104) with BROKER_KEY over everything in a message that a worker reads. The two
marks that say that a message is delivered again are left out: kombu adds them on the way.

It covers when the message was made, too. One that was recorded and sent again later is dropped, and within that time a
task may run twice. Work whose message waited for so long is found again by the sweep.
"""

from __future__ import annotations

import hmac
import json
import time
from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

from django.conf import settings

from licensehub.database import clock

NAME: Final = "signature"
MADE: Final = "made_at"
AGAIN: Final = "redelivered"
# Longer than any task of ours takes, and than a worker that died holds its message.
MAX_AGE_SECONDS: Final = 3600
_canonical = json.JSONEncoder(sort_keys=True, separators=(",", ":"), default=str).encode


def signed(message: Mapping[str, Any]) -> dict[str, Any]:
    """The message with the time and its signature."""
    dated = {**message, MADE: int(_now())}
    return {**dated, NAME: _signature(dated)}


def is_signed(message: object) -> bool:
    """Whether one of our processes made this message, and nobody changed it."""
    if not isinstance(message, dict) or not isinstance(message.get(NAME), str):
        return False
    try:
        return hmac.compare_digest(message[NAME].encode(), _signature(message).encode())
    except (TypeError, ValueError, AttributeError, RecursionError):
        return False


def why_dropped(message: Any) -> str:
    """`unsigned` if it is not ours, `old` if it was sent again or waited for too long, else an empty text."""
    if not is_signed(message):
        return "unsigned"
    return "" if abs(_now() - _due(message)) <= MAX_AGE_SECONDS else "old"


def _now() -> float:
    """The time of the database, as far as this process knows it without a query, in seconds since 1970.

    Else one host with a wrong clock would take the messages of the others out of the queue, and drop them.
    """
    return time.time() - clock.known_skew().total_seconds()


def _due(message: Mapping[str, Any]) -> float:
    """Return the signed time for which the message was made, else that of its making, in seconds since 1970."""
    eta = (message.get("headers") or {}).get("eta")
    return datetime.fromisoformat(eta).timestamp() if eta else float(message[MADE])


def _signature(message: Mapping[str, Any]) -> str:
    properties = dict(message.get("properties") or {})
    properties["delivery_info"] = _without_mark(properties.get("delivery_info") or {})
    parts = [
        message.get("body"),
        message.get("content-type"),
        message.get("content-encoding"),
        _without_mark(message.get("headers") or {}),
        properties,
        message.get(MADE),
    ]
    return hmac.digest(settings.BROKER_KEY.encode(), _canonical(parts).encode(), "sha256").hex()


def _without_mark(values: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in values.items() if name != AGAIN}
