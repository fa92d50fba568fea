"""The choices of a user for people who leave a request."""

from __future__ import annotations

from datetime import timedelta

from django.utils import timezone

from subscriptions.approvals.leaving import Keep
from subscriptions.models import KeptAs


def pause(days: int = 60) -> Keep:
    return Keep(KeptAs.PAUSED, timezone.now() + timedelta(days=days))


PROTECT = Keep(KeptAs.PROTECTED)
