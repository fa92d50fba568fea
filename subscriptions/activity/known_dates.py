"""The last activity that counts: the latest date that the vendor ever showed for a person.

A vendor's date may become older, or empty, e.g. after an import or in a new account. The known activity took place all
the same. So the vendor's date is stored in its own column until it is as new as the known one, or an admin decides.
Each rule is here for SQL and for Python.
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
# The date that the vendor showed at the last download. A new download is compared with it.
SAID_BEFORE_SQL = "(CASE WHEN s.dates_went_back THEN s.vendor_activity_at ELSE s.last_activity_at END)"
# The columns that are not in a download: the same as `counted`.
COUNTED_SQL = f"CASE WHEN {WENT_BACK_SQL} THEN s.last_activity_at ELSE m.last_activity_at END"
VENDOR_ACTIVITY_SQL = f"CASE WHEN {WENT_BACK_SQL} THEN m.last_activity_at END"


class Known(Protocol):
    @property
    def last_activity_at(self) -> datetime | None: ...


def went_back(known: datetime | None, said: datetime | None) -> bool:
    """Whether the vendor shows an older date than the known one, or none."""
    return known is not None and (said is None or said < known)


def counted(row: Known, facts: Mapping[str, Any]) -> dict[str, Any]:
    """The columns of Subscription to write for these downloaded facts: the latest known activity counts."""
    said = facts["last_activity_at"]
    if not went_back(row.last_activity_at, said):
        return {**facts, "dates_went_back": False, "vendor_activity_at": None}
    return {**facts, "last_activity_at": row.last_activity_at, "dates_went_back": True, "vendor_activity_at": said}


def needs_review() -> Q:
    """A condition on rows: the vendor's date went back by more than the tolerance."""
    far = Q(vendor_activity_at=None) | Q(vendor_activity_at__lt=F("last_activity_at") - TOLERANCE)
    return Q(dates_went_back=True) & far
