"""What a vendor says in headers about how long to wait. Unreadable headers say nothing."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping
from email.utils import parsedate_to_datetime

# A header that is wrong must not stop everything for a day.
LONGEST = 3600.0
SHORTEST = 1.0


def hold_seconds(*, status: int, headers: Mapping[str, str], window: float) -> float:
    """How long to hold everybody back after this answer, 0.0 if not at all.

    Miro announces X-RateLimit-Remaining and X-RateLimit-Reset (UNIX seconds), and answers 429 when nothing is left:
    https://developers.miro.com/reference/rate-limiting. `window` is the wait when no header says it.
    """
    if status == 429:
        told = retry_after(headers)
        return told if told is not None else _until_reset(headers, otherwise=window)
    remaining = _number(headers.get("X-RateLimit-Remaining", ""))
    if remaining is not None and remaining <= 0:
        return _until_reset(headers, otherwise=window)
    return 0.0


def retry_after(headers: Mapping[str, str]) -> float | None:
    """Seconds from `Retry-After`, which is a number or a date (RFC 9110, 10.2.3)."""
    text = headers.get("Retry-After", "")
    seconds = _number(text)
    if seconds is None and (moment := _date(text)) is not None:
        seconds = moment - _now(headers)
    return None if seconds is None else _within(seconds)


def _until_reset(headers: Mapping[str, str], *, otherwise: float) -> float:
    reset = _number(headers.get("X-RateLimit-Reset", ""))
    return otherwise if reset is None else _within(reset - _now(headers))


def _now(headers: Mapping[str, str]) -> float:
    """The vendor's clock where it tells it: the two clocks may differ."""
    told = _date(headers.get("Date", ""))
    return time.time() if told is None else told


def _within(seconds: float) -> float:
    return min(max(seconds, SHORTEST), LONGEST)


def _number(text: str) -> float | None:
    try:
        number = float(text)
    except ValueError:
        return None
    return number if math.isfinite(number) else None


def _date(text: str) -> float | None:
    try:
        return parsedate_to_datetime(text).timestamp()
    except (ValueError, TypeError, OverflowError):
        return None
