"""Counts of one complete run, kept with it: what charts and trends read, so that no page scans all subscriptions."""

from __future__ import annotations

from collections import Counter
from datetime import datetime, timedelta
from typing import Any

from django.db.models import Case, CharField, Count, Value, When

from integrations.models import IntegrationProfile
from subscriptions.models import Subscription

BAND_DAYS = 30
BANDS = 12
NEVER = "never"


def rollups(profile: IntegrationProfile, *, now: datetime) -> dict[str, Any]:
    """{"members", "active", "by_license": {license: n}, "idle": {"0": n, "30": n, … "360": n}, "never": n}.

    `idle` counts the held seats by days since the last activity, in bands that begin with their key. All rows are read
    once: what they are grouped by makes some hundred groups.
    """
    rows = Subscription.objects.filter(profile=profile, gone_at=None).annotate(band=_band(now)).order_by()
    members, idle, by_license = 0, Counter[str](), Counter[str]()
    for active, license, band, people in rows.values_list("active", "license", "band").annotate(n=Count("pk")):
        members += people
        if active:
            by_license[license] += people
            idle[band] += people
    never = idle.pop(NEVER, 0)
    return {
        "members": members,
        "active": by_license.total(),
        "by_license": dict(sorted(by_license.items())),
        "idle": dict(idle),
        "never": never,
    }


def _band(now: datetime) -> Case:
    """The band of a row: the youngest one that its last activity is not older than, or that there was none."""
    newest_first = [
        When(
            last_activity_at__gt=now - timedelta(days=BAND_DAYS * (band + 1)),
            then=Value(str(BAND_DAYS * band)),
        )
        for band in range(BANDS)
    ]
    never = When(last_activity_at=None, then=Value(NEVER))
    return Case(never, *newest_first, default=Value(str(BAND_DAYS * BANDS)), output_field=CharField())
