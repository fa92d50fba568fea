"""Working days: how long a request waits for a decision, and when there is no mail.

The settings say which days count: `WORKING_DAYS` (days of the week) without `HOLIDAYS`, in the time zone of the company
(`TIME_ZONE`). With all seven days and no holiday these are plain days.
"""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta

from django.conf import settings
from django.utils import timezone
from django.utils.formats import date_format
from django.utils.translation import ngettext

from licensehub.database.clock import database_now
from licensehub.ui.formatting import ago

ALL_DAYS = 7


def is_working_day(day: date) -> bool:
    return day.weekday() in settings.WORKING_DAYS and day not in settings.HOLIDAYS


def add_working_days(start: datetime, days: int) -> datetime:
    """The moment after so many working days, at the same time of the day.

    After a start on a day off, the days begin with the next working day: one day from Saturday ends Monday at midnight.
    """
    local = start.astimezone(timezone.get_default_timezone())
    day, clock = local.date(), local.time()
    if not is_working_day(day):
        day, clock = _next(day), time()
    for _ in range(days):
        day = _next(day)
    return datetime.combine(day, clock, tzinfo=timezone.get_default_timezone()).astimezone(UTC)


def _next(day: date) -> date:
    day += timedelta(days=1)
    while not is_working_day(day):
        day += timedelta(days=1)
    return day


def end_of_window(start: datetime) -> datetime:
    """The end of the time to decide a request that opens for approval at `start`."""
    return add_working_days(start, settings.REQUEST_WINDOW_DAYS)


def reminder_before_end(start: datetime, end: datetime) -> datetime:
    """The moment of the reminder: one working day before the end, but not before half of the time is over."""
    local = end.astimezone(timezone.get_default_timezone())
    day = local.date() - timedelta(days=1)
    while not is_working_day(day):
        day -= timedelta(days=1)
    before = datetime.combine(day, local.time(), tzinfo=timezone.get_default_timezone())
    return max(before.astimezone(UTC), start + (end - start) / 2)


def window_text() -> str:
    """`3 working days`: how long a request waits for a decision."""
    return _days(settings.REQUEST_WINDOW_DAYS)


def until(end: datetime, *, zone: bool = False) -> str:
    """`Tuesday, Dec 1, 15:00 (3 working days)`; on the last day `(in 6 hours)`.

    For the reader of a page; with `zone` for a mail, in the time zone of the company, which is named.
    """
    local = timezone.localtime(end, timezone.get_default_timezone() if zone else None)
    form = "FULL_WEEKDAY_TIME_AND_ZONE_FORMAT" if zone else "FULL_WEEKDAY_TIME_FORMAT"
    return f"{date_format(local, form)} ({time_left(end)})"


def time_left(end: datetime) -> str:
    """`3 working days`, and on the last day `in 6 hours`."""
    now, left = database_now(), 0
    while add_working_days(now, left) < end:
        left += 1
    return _days(left) if left > 1 else ago(end, now=now)


def _days(count: int) -> str:
    if len(settings.WORKING_DAYS) == ALL_DAYS and not settings.HOLIDAYS:
        return ngettext("{} day", "{} days", count).format(count)
    return ngettext("{} working day", "{} working days", count).format(count)
