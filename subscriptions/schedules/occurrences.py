"""When a crontab is due, by the calendar of its time zone: pure functions, and no clock but the one that is given.

A wall time that a change of daylight saving time leaves out comes as much later as the clock was moved; one that comes
twice counts once, the first time. So each calendar day has the same number of slots.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from django_celery_beat.models import CrontabSchedule
from django_celery_beat.tzcrontab import TzAwareCrontab

# A crontab that is due on one day of a leap year comes again within this time.
MAX_QUARTERS = 366 * 8
# A window of one hour in a week is left out when it falls into the hour that a spring leaves out.
MAX_CLOSED = timedelta(days=15)
QUARTER = timedelta(minutes=15)
MONDAY_TO_SUNDAY = (1, 2, 3, 4, 5, 6, 0)


def zone_of(crontab: CrontabSchedule) -> ZoneInfo:
    return ZoneInfo(str(crontab.timezone))


def last_slot(crontab: CrontabSchedule, now: datetime) -> datetime | None:
    """The latest slot that is not after `now`, in UTC."""
    today = now.astimezone(zone_of(crontab)).date()
    for back in range(-1, MAX_QUARTERS):
        for slot in reversed(list(slots_of_day(crontab, today - timedelta(days=back)))):
            if slot <= now:
                return slot
    return None


def next_slots(crontab: CrontabSchedule, now: datetime, *, count: int = 1) -> list[datetime]:
    """The first slots after `now`, in UTC."""
    found: list[datetime] = []
    today = now.astimezone(zone_of(crontab)).date()
    for ahead in range(-1, MAX_QUARTERS):
        found += [slot for slot in slots_of_day(crontab, today + timedelta(days=ahead)) if slot > now]
        if len(found) >= count:
            break
    return found[:count]


def slots_of_day(crontab: CrontabSchedule, day: date) -> Iterator[datetime]:
    """In the order of wall time, in UTC."""
    fields = crontab.schedule
    zone = zone_of(crontab)
    if (day.isoweekday() % 7) not in fields.day_of_week:
        return
    if day.day not in fields.day_of_month or day.month not in fields.month_of_year:
        return
    for hour in sorted(fields.hour):
        for minute in sorted(fields.minute):
            # fold=0 takes the first of two, and the offset before a gap, which moves a missing time forward.
            yield datetime.combine(day, time(hour, minute), tzinfo=zone).astimezone(UTC)


def is_open(crontab: CrontabSchedule, now: datetime) -> bool:
    """Whether `now` is in an hour of a day that the crontab names: its window."""
    return _is_in(crontab.schedule, now.astimezone(zone_of(crontab)))


def _is_in(fields: TzAwareCrontab, local: datetime) -> bool:
    return local.hour in fields.hour and (local.isoweekday() % 7) in fields.day_of_week


def opens_at(crontab: CrontabSchedule, now: datetime) -> datetime | None:
    """When the window opens next; None when it is open, or never opens."""
    fields, zone = crontab.schedule, zone_of(crontab)
    if _is_in(fields, now.astimezone(zone)):
        return None
    # Quarters of an hour, since some zones are half an hour or three quarters off.
    moment = now.astimezone(UTC).replace(minute=now.minute // 15 * 15, second=0, microsecond=0)
    for step in range(1, MAX_CLOSED // QUARTER + 1):
        if _is_in(fields, (moment + step * QUARTER).astimezone(zone)):
            return moment + step * QUARTER
    return None
