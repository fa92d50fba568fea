"""Names of time zones, and the cookie with the browser's one."""

from __future__ import annotations

from functools import cache
from zoneinfo import ZoneInfo, available_timezones

from django.http import HttpRequest

# Written by static/licensehub/time_zone.js.
COOKIE = "lh_time_zone"


def known_zone(name: str) -> ZoneInfo | None:
    """None for a name that the time zone database does not have: a cookie may say anything."""
    return ZoneInfo(name) if name in _names() else None


def zone_of_browser(request: HttpRequest) -> ZoneInfo | None:
    """None before the browser has told its time zone."""
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
