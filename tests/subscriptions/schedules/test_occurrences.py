"""Slots by the calendar of their zone, over both changes of daylight saving time."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest

from subscriptions.schedules import occurrences, schedules

# Zone, a time that the spring leaves out or that comes twice in autumn, the day of each change.
CHANGES = [
    ("Europe/Berlin", time(2, 30), date(2027, 3, 28), date(2026, 10, 25)),
    ("America/New_York", time(1, 30), date(2027, 3, 14), date(2026, 11, 1)),
    ("America/New_York", time(2, 30), date(2027, 3, 14), date(2026, 11, 1)),
    ("Australia/Lord_Howe", time(2, 15), date(2026, 10, 4), date(2027, 4, 4)),
    ("Asia/Kolkata", time(2, 0), date(2027, 3, 28), date(2026, 10, 25)),
]


def crontab(zone: str, at: time, **more):
    return schedules.daily_plan(at=at, zone=zone, **more).crontab()


@pytest.mark.django_db
@pytest.mark.parametrize(("zone", "at", "spring", "autumn"), CHANGES)
def test_one_slot_for_each_day(zone, at, spring, autumn):
    """Walk two weeks around each change, five minutes at a time: as many slots as days, each on its own day."""
    for change in (spring, autumn):
        row = crontab(zone, at)
        start = datetime.combine(change - timedelta(days=7), time(0), tzinfo=ZoneInfo(zone)).astimezone(UTC)
        seen = set()
        for step in range(14 * 24 * 12):
            now = start + timedelta(minutes=5 * step)
            slot = occurrences.last_slot(row, now)
            assert slot <= now
            if slot >= start:
                seen.add(slot)
        days = [slot.astimezone(ZoneInfo(zone)).date() for slot in sorted(seen)]
        assert len(days) == len(set(days)) == 14


@pytest.mark.django_db
def test_a_time_that_is_left_out_comes_as_much_later():
    row = crontab("Europe/Berlin", time(2, 30))
    [slot] = occurrences.next_slots(row, datetime(2027, 3, 28, 0, 0, tzinfo=UTC))
    assert slot == datetime(2027, 3, 28, 1, 30, tzinfo=UTC)
    assert slot.astimezone(ZoneInfo("Europe/Berlin")).time() == time(3, 30)


@pytest.mark.django_db
def test_a_time_that_comes_twice_counts_the_first_time():
    row = crontab("Europe/Berlin", time(2, 30))
    first, second = occurrences.next_slots(row, datetime(2026, 10, 24, 12, 0, tzinfo=UTC), count=2)
    assert first == datetime(2026, 10, 25, 0, 30, tzinfo=UTC)
    assert second == datetime(2026, 10, 26, 1, 30, tzinfo=UTC)


@pytest.mark.django_db
def test_lord_howe_moves_by_half_an_hour():
    row = crontab("Australia/Lord_Howe", time(2, 15))
    [slot] = occurrences.next_slots(row, datetime(2026, 10, 3, 12, 0, tzinfo=UTC))
    assert slot.astimezone(ZoneInfo("Australia/Lord_Howe")).time() == time(2, 45)


@pytest.mark.django_db
def test_weekdays_are_those_of_the_zone():
    """Monday 08:00 in Auckland is still Sunday in UTC."""
    row = crontab("Pacific/Auckland", time(8, 0), weekdays=frozenset({1}))
    [slot] = occurrences.next_slots(row, datetime(2026, 11, 25, tzinfo=UTC))
    assert (slot.strftime("%A"), slot.astimezone(ZoneInfo("Pacific/Auckland")).strftime("%A")) == ("Sunday", "Monday")


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("plan", "words"),
    [
        (schedules.daily_plan(at=time(2, 0), zone="Europe/Berlin"), "Every day at 02:00 Europe/Berlin"),
        (schedules.daily_plan(at=time(6, 5), zone="UTC", weekdays=schedules.WORKDAYS), "Monday to Friday at 06:05 UTC"),
    ],
)
def test_a_download_in_plain_words(plan, words):
    assert schedules._daily_words(plan.crontab()) == words


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("start", "end", "weekdays", "words"),
    [
        (0, 24, schedules.EVERY_DAY, "At any time"),
        (8, 18, schedules.WORKDAYS, "Monday to Friday, 08:00 to 18:00 Europe/Berlin"),
        (22, 6, schedules.EVERY_DAY, "Every day, 22:00 to 06:00 the next day Europe/Berlin"),
        (9, 10, frozenset({0, 6}), "Saturday and Sunday, 09:00 to 10:00 Europe/Berlin"),
    ],
)
def test_a_window_in_plain_words(start, end, weekdays, words):
    plan = schedules.window_plan(start=start, end=end, weekdays=weekdays, zone="Europe/Berlin")
    assert schedules._window_words(plan.crontab()) == words


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("moment", "opens"),
    [
        (datetime(2026, 11, 24, 7, 30, tzinfo=UTC), None),  # Tuesday 08:30 in Berlin
        (datetime(2026, 11, 24, 6, 59, tzinfo=UTC), datetime(2026, 11, 24, 7, 0, tzinfo=UTC)),
        (datetime(2026, 11, 27, 17, 0, tzinfo=UTC), datetime(2026, 11, 30, 7, 0, tzinfo=UTC)),  # Friday evening
        (datetime(2027, 3, 26, 17, 0, tzinfo=UTC), datetime(2027, 3, 29, 6, 0, tzinfo=UTC)),  # over the change
    ],
)
def test_when_a_window_opens(moment, opens):
    plan = schedules.window_plan(start=8, end=18, weekdays=schedules.WORKDAYS, zone="Europe/Berlin")
    row = plan.crontab()
    assert occurrences.is_open(row, moment) == (opens is None)
    assert occurrences.opens_at(row, moment) == opens


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("weekday", "hour", "is_open"),
    [(4, 23, True), (5, 5, True), (5, 6, False), (5, 22, False), (6, 5, False), (0, 5, False), (0, 22, True)],
    ids=["Fri 23", "Sat 05", "Sat 06", "Sat 22", "Sun 05", "Mon 05", "Mon 22"],
)
def test_a_window_over_midnight_belongs_to_the_day_on_which_it_begins(weekday, hour, is_open):
    """Monday to Friday, 22 to 6: Friday night ends on Saturday morning, and no night begins on Sunday."""
    row = schedules.window_plan(start=22, end=6, weekdays=schedules.WORKDAYS, zone="UTC").crontab()
    moment = datetime(2026, 11, 23 + weekday, hour, 30, tzinfo=UTC)  # November 23 is a Monday
    assert occurrences.is_open(row, moment) == is_open
