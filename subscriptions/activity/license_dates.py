"""A license date that goes back: a new joiner would be an old one over night, without the grace of the rule.

The date that the vendor shows is written, since it is often right. But a person whose license is the same and was new
is left alone for a while, so that a fault of the vendor takes nobody's seat. The rule is here for SQL and for Python.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any, Protocol

from integrations.connectors.contract import english

# Longer than the grace of most rules. An older license date decides nothing that this one does not.
RECENT = timedelta(days=90)
COOLDOWN = timedelta(days=30)
REASON = english("the vendor's license date went back")
# `s` is the row as it is known, `m` the member as downloaded; parameters: now - RECENT, now + COOLDOWN.
WENT_BACK_SQL = """(s.license = m.license AND s.license_assigned_at > %s
    AND (m.license_assigned_at IS NULL OR m.license_assigned_at < s.license_assigned_at)
    AND (s.cooldown_until IS NULL OR s.cooldown_until < %s))"""


class Dated(Protocol):
    @property
    def license(self) -> str: ...
    @property
    def license_assigned_at(self) -> datetime | None: ...


class Known(Dated, Protocol):
    @property
    def cooldown_until(self) -> datetime | None: ...


def went_back(row: Known, member: Dated, now: datetime) -> bool:
    """The same as WENT_BACK_SQL."""
    known, said = row.license_assigned_at, member.license_assigned_at
    if row.license != member.license or known is None or known <= now - RECENT:
        return False
    is_paused = row.cooldown_until is not None and row.cooldown_until >= now + COOLDOWN
    return (said is None or said < known) and not is_paused


def cooldown_from(now: datetime) -> dict[str, Any]:
    """The columns of Subscription that are written, with their values."""
    return {"cooldown_until": now + COOLDOWN, "cooldown_reason": REASON}
