"""When a crontab is due, by the calendar of its time zone. Pure functions: the caller gives the time.

When the clocks go forward, a wall time that does not exist is due later, by as much as the clocks were moved. When they
go back, a wall time that exists twice is due the first time only. So each calendar day has the same number of slots.
`cronsim` would move a missing time to the end of the gap, and in the repeated hour its slots go back in time.
"""

from __future__ import annotations

import itertools
from collections.abc import Collection, Iterator
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from django_celery_beat.models import CrontabSchedule
from django_celery_beat.tzcrontab import TzAwareCrontab

# Days to look through: enough for a crontab that is due on February 29 only.
MAX_DAYS = 366 * 8
# A weekly window of one hour can be the hour that does not exist, and then opens a week later.
MAX_CLOSED = timedelta(days=15)
QUARTER = timedelta(minutes=15)


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
    fields = crontab.schedule
    zone = zone_of(crontab)
    if (day.isoweekday() % 7) not in fields.day_of_week:
        return
    if day.day not in fields.day_of_month or day.month not in fields.month_of_year:
        return
    for hour in sorted(fields.hour):
        for minute in sorted(fields.minute):
            # fold=0 takes the first of two times; in a gap it takes the offset before it, which moves the time forward.
            yield datetime.combine(day, time(hour, minute), tzinfo=zone).astimezone(UTC)


def after_midnight(hours: Collection[int]) -> frozenset[int]:
    """The hours that continue a window of the day before: {22, 23, 0, 1} -> {0, 1}. A whole day continues nothing."""
    if len(hours) == 24 or not {0, 23} <= set(hours):
        return frozenset()
    return frozenset(itertools.takewhile(lambda hour: hour in hours, range(24)))


def is_open(crontab: CrontabSchedule, now: datetime) -> bool:
    """Whether `now` is in the window. A window over midnight belongs to the weekday on which it begins."""
    return _is_in(crontab.schedule, now.astimezone(zone_of(crontab)))


def _is_in(fields: TzAwareCrontab, local: datetime) -> bool:
    begins_on = local - timedelta(days=1) if local.hour in after_midnight(fields.hour) else local
    return local.hour in fields.hour and (begins_on.isoweekday() % 7) in fields.day_of_week


def opens_at(crontab: CrontabSchedule, now: datetime) -> datetime | None:
    """When the window opens next; None when it is open, or never opens."""
    fields, zone = crontab.schedule, zone_of(crontab)
    if _is_in(fields, now.astimezone(zone)):
        return None
    # Steps of a quarter of an hour, since the offsets of some zones are no whole hours.
    moment = now.astimezone(UTC).replace(minute=now.minute // 15 * 15, second=0, microsecond=0)
    for step in range(1, MAX_CLOSED // QUARTER + 1):
        if _is_in(fields, (moment + step * QUARTER).astimezone(zone)):
            return moment + step * QUARTER
    return None
