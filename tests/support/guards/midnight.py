"""No test begins just before midnight: many read today's date more than once, and expect the same day."""

from __future__ import annotations

import time
from datetime import datetime, timedelta

import pytest
from django.utils import timezone

# As long as most tests take on a busy machine.
LAST_SECONDS = 20.0


def seconds_to_wait(now: datetime) -> float:
    """Until the next day, if it is that near."""
    left = (timezone.localtime(now) + timedelta(days=1)).replace(hour=0, minute=0, second=0, microsecond=0) - now
    return left.total_seconds() if left.total_seconds() <= LAST_SECONDS else 0.0


@pytest.fixture(autouse=True)
def _no_midnight_in_between() -> None:
    if wait := seconds_to_wait(timezone.now()):
        time.sleep(wait)
