"""Counts of one complete run, kept with it: what charts and trends read, so that no page scans all subscriptions."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from django.db.models import Case, CharField, Count, Q, Value, When

from integrations.models import IntegrationProfile
from subscriptions.models import Subscription

BAND_DAYS = 30
BANDS = 12


def rollups(profile: IntegrationProfile, *, now: datetime) -> dict[str, Any]:
    """{"members", "active", "by_license": {license: n}, "idle": {"0": n, "30": n, … "360": n}, "never": n}.

    `idle` counts the held seats by days since the last activity, in bands that begin with their key.
    """
    rows = Subscription.objects.filter(profile=profile, gone_at=None)
    held = rows.filter(active=True)
    by_license = held.values_list("license").annotate(n=Count("pk")).order_by("license")
    seen = held.exclude(last_activity_at=None)
    idle = seen.annotate(band=_band(now)).values_list("band").annotate(n=Count("pk"))
    return {
        **rows.aggregate(members=Count("pk"), active=Count("pk", filter=Q(active=True))),
        "by_license": dict(by_license),
        "idle": dict(idle),
        "never": held.filter(last_activity_at=None).count(),
    }


def _band(now: datetime) -> Case:
    """The band of a row: the youngest one that its last activity is not older than."""
    newest_first = [
        When(
            last_activity_at__gt=now - timedelta(days=BAND_DAYS * (band + 1)),
            then=Value(str(BAND_DAYS * band)),
        )
        for band in range(BANDS)
    ]
    return Case(*newest_first, default=Value(str(BAND_DAYS * BANDS)), output_field=CharField())
