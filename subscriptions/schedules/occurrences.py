"""The moments when a crontab is due, by the calendar of its time zone. Pure functions: the caller gives the time.

When the clocks go forward, a wall time that does not exist is due later, by as much as the clocks were moved. When they
go back, a wall time that exists twice is due the first time only. So each calendar day has the same number of slots.
`cronsim` would move a missing time to the end of the gap, and in the repeated hour its slots go back in time.
"""

from __future__ import annotations

import itertools
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from typing import Any
from zoneinfo import ZoneInfo

import celery.schedules
from django_celery_beat.models import CrontabSchedule

# Days to look through: enough for a crontab that is due on February 29 only.
MAX_DAYS = 366 * 8
# A weekly window of one hour can be the hour that does not exist, and then opens a week later.
MAX_CLOSED = timedelta(days=15)
QUARTER = timedelta(minutes=15)


@dataclass(frozen=True, slots=True)
class Fields:
    """The numbers that a crontab names. Of the weekdays, Sunday is 0."""

    minutes: tuple[int, ...]
    hours: tuple[int, ...]
    late_hours: frozenset[int]  # the hours that continue a window of the day before
    weekdays: frozenset[int]
    days_of_month: frozenset[int]
    months: frozenset[int]


def fields_of(crontab: CrontabSchedule) -> Fields:
    return _parse(crontab.minute, crontab.hour, crontab.day_of_week, crontab.day_of_month, crontab.month_of_year)


@lru_cache(maxsize=256)
def _parse(minute: str, hour: str, day_of_week: str, day_of_month: str, month_of_year: str) -> Fields:
    """Parse the fields. The result is cached: a search tries each day of years, and parsing takes most of the time."""
    parsed: Any = celery.schedules.crontab(minute, hour, day_of_week, day_of_month, month_of_year)
    return Fields(
        minutes=tuple(sorted(parsed.minute)),
        hours=tuple(sorted(parsed.hour)),
        late_hours=after_midnight(parsed.hour),
        weekdays=frozenset(parsed.day_of_week),
        days_of_month=frozenset(parsed.day_of_month),
        months=frozenset(parsed.month_of_year),
    )


def zone_of(crontab: CrontabSchedule) -> ZoneInfo:
    return ZoneInfo(str(crontab.timezone))


def last_slot(crontab: CrontabSchedule, now: datetime) -> datetime | None:
    """The latest slot that is not after `now`, in UTC."""
    today = now.astimezone(zone_of(crontab)).date()
    for back in range(-1, MAX_DAYS):
        for slot in reversed(list(slots_of_day(crontab, today - timedelta(days=back)))):
            if slot <= now:
                return slot
    return None


def next_slots(crontab: CrontabSchedule, now: datetime, *, count: int = 1) -> list[datetime]:
    """The first slots after `now`, in UTC."""
    found: list[datetime] = []
    today = now.astimezone(zone_of(crontab)).date()
    for ahead in range(-1, MAX_DAYS):
        found += [slot for slot in slots_of_day(crontab, today + timedelta(days=ahead)) if slot > now]
        if len(found) >= count:
            break
    return found[:count]


def slots_of_day(crontab: CrontabSchedule, day: date) -> Iterator[datetime]:
    """The slots of one calendar day in UTC, in the order of their wall times."""
    fields = fields_of(crontab)
    zone = zone_of(crontab)
    if (day.isoweekday() % 7) not in fields.weekdays:
        return
    if day.day not in fields.days_of_month or day.month not in fields.months:
        return
    for hour in fields.hours:
        for minute in fields.minutes:
            # fold=0 takes the first of two times; in a gap it takes the offset before it, which moves the time forward.
            yield datetime.combine(day, time(hour, minute), tzinfo=zone).astimezone(UTC)


def after_midnight(hours: Collection[int]) -> frozenset[int]:
    """The hours that continue a window of the day before: {22, 23, 0, 1} -> {0, 1}. A whole day continues nothing."""
    if len(hours) == 24 or not {0, 23} <= set(hours):
        return frozenset()
    return frozenset(itertools.takewhile(lambda hour: hour in hours, range(24)))


def is_open(crontab: CrontabSchedule, now: datetime) -> bool:
    """Whether `now` is in the window. A window over midnight belongs to the weekday on which it begins."""
    return _is_in(fields_of(crontab), now.astimezone(zone_of(crontab)))


def _is_in(fields: Fields, local: datetime) -> bool:
    begins_on = local - timedelta(days=1) if local.hour in fields.late_hours else local
    return local.hour in fields.hours and (begins_on.isoweekday() % 7) in fields.weekdays


def opens_at(crontab: CrontabSchedule, now: datetime) -> datetime | None:
    """Return when the window opens next; None when it is open, or never opens."""
    fields, zone = fields_of(crontab), zone_of(crontab)
    if _is_in(fields, now.astimezone(zone)):
        return None
    # Steps of a quarter of an hour, since the offsets of some zones are no whole hours.
    moment = now.astimezone(UTC).replace(minute=now.minute // 15 * 15, second=0, microsecond=0)
    for step in range(1, MAX_CLOSED // QUARTER + 1):
        if _is_in(fields, (moment + step * QUARTER).astimezone(zone)):
            return moment + step * QUARTER
    return None
