"""The last activity that counts: the latest one that the vendor ever showed of a person.

A vendor's date may go back, or end: an import at the vendor, a lost table, a new account. Somebody who was active five
days ago stays so. What the vendor says now is kept beside it, until its date is as new again or an admin decides. Each
rule is here for SQL and for Python.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any, Protocol

from django.db.models import F, Q

# A vendor's date that goes back by less than this (another time zone, whole days only) needs no review.
TOLERANCE = timedelta(days=1)

# `s` is the row as it is known, `m` the member as downloaded. The same as `went_back`; never NULL.
WENT_BACK_SQL = """(s.last_activity_at IS NOT NULL
       AND (m.last_activity_at IS NULL OR m.last_activity_at < s.last_activity_at))"""
# What the vendor said last, which a download is compared with.
SAID_BEFORE_SQL = "(CASE WHEN s.dates_went_back THEN s.vendor_activity_at ELSE s.last_activity_at END)"
# The columns that are not in a download: the same as `counted`.
COUNTED_SQL = f"CASE WHEN {WENT_BACK_SQL} THEN s.last_activity_at ELSE m.last_activity_at END"
VENDOR_ACTIVITY_SQL = f"CASE WHEN {WENT_BACK_SQL} THEN m.last_activity_at END"


class Known(Protocol):
    @property
    def last_activity_at(self) -> datetime | None: ...


def went_back(known: datetime | None, said: datetime | None) -> bool:
    """Whether the vendor says less than we know."""
    return known is not None and (said is None or said < known)


def counted(row: Known, facts: Mapping[str, Any]) -> dict[str, Any]:
    """The columns of Subscription to write for these downloaded facts: the latest known activity counts."""
    said = facts["last_activity_at"]
    if not went_back(row.last_activity_at, said):
        return {**facts, "dates_went_back": False, "vendor_activity_at": None}
    return {**facts, "last_activity_at": row.last_activity_at, "dates_went_back": True, "vendor_activity_at": said}


def needs_review() -> Q:
    """Rows of which the vendor's date went back by more than the tolerance."""
    far = Q(vendor_activity_at=None) | Q(vendor_activity_at__lt=F("last_activity_at") - TOLERANCE)
    return Q(dates_went_back=True) & far
