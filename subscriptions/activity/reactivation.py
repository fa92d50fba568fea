"""The cool-down of people who were reactivated at the vendor: one rule, for Python and for SQL."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

REACTIVATED_COOLDOWN = timedelta(days=30)
REACTIVATED_REASON = "somebody reactivated this person at the vendor"
# `s` is the row as it is known, `m` the member as downloaded. The same as `was_reactivated`.
REACTIVATED_SQL = "(NOT s.active AND m.active)"


def was_reactivated(*, known_active: bool, found_active: bool) -> bool:
    """Whether the vendor shows a person as active whom we know as deactivated. The same as REACTIVATED_SQL."""
    return not known_active and found_active


def cooldown_from(now: datetime) -> dict[str, Any]:
    """The columns of Subscription that are written for a reactivated person, with their values."""
    return {"cooldown_until": now + REACTIVATED_COOLDOWN, "cooldown_reason": REACTIVATED_REASON}
