"""Names of time zones, and the cookie with the browser's one."""

from __future__ import annotations

from datetime import date, datetime, time
from functools import cache
from zoneinfo import ZoneInfo, available_timezones

from django.http import HttpRequest
from django.utils import timezone

# Written by static/licensehub/time_zone.js.
COOKIE = "lh_time_zone"


def known_zone(name: str) -> ZoneInfo | None:
    """None for a name that the time zone database does not have: a cookie may say anything."""
    return ZoneInfo(name) if name in _names() else None


def zone_of_browser(request: HttpRequest) -> ZoneInfo | None:
    """None before the browser has sent its time zone."""
    return known_zone(request.COOKIES.get(COOKIE, ""))


@cache
def zone_names() -> tuple[str, ...]:
    """The names to choose from, sorted: `Europe/Berlin`, and `UTC`. Old and technical names are left out."""
    return (
        *sorted(name for name in _names() if "/" in name and not name.startswith(("Etc/", "posix", "right"))),
        "UTC",
    )


@cache
def _names() -> frozenset[str]:
    return frozenset(available_timezones())


# --- The company's days -----------------------------------------------------------------------------------------------
# Amounts, prices and ends of pauses are the same for every reader, so they do not follow the reader's time zone.


def company_day(moment: datetime | None = None) -> date:
    """The day of a moment, or today, in the company's time zone."""
    return timezone.localdate(moment, timezone=timezone.get_default_timezone())


def company_midnight(day: date) -> datetime:
    """The first moment of this day in the company's time zone."""
    return datetime.combine(day, time.min, tzinfo=timezone.get_default_timezone())
