"""Working days: weekends and holidays do not count, and the clock is that of the company."""

from __future__ import annotations

from datetime import UTC, date, datetime

import pytest
import time_machine

from licensehub.environment import PlainEnv, Reader
from subscriptions.schedules import working_days


@pytest.fixture(autouse=True)
def monday_to_friday(settings):
    settings.WORKING_DAYS = frozenset(range(5))


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


@pytest.mark.parametrize(
    ("start", "days", "end"),
    [
        ("2026-11-26T15:00", 3, "2026-12-01T15:00"),  # Thursday to Tuesday
        ("2026-11-30T15:00", 3, "2026-12-03T15:00"),  # no weekend between
        ("2026-11-28T02:00", 3, "2026-12-02T23:00"),  # on a Saturday: all of Monday to Wednesday in Berlin
        ("2026-11-29T23:30", 1, "2026-11-30T23:30"),  # Sunday in UTC, Monday in Berlin
        ("2026-12-24T09:00", 2, "2026-12-29T09:00"),  # the 25th is a holiday, the 26th a Saturday
        ("2027-03-26T09:00", 1, "2027-03-29T08:00"),  # the clock is put forward between
    ],
)
def test_weekends_and_holidays_do_not_count(settings, start, days, end):
    settings.TIME_ZONE = "Europe/Berlin"
    settings.HOLIDAYS = frozenset({date(2026, 12, 25)})
    assert working_days.add_working_days(utc(start), days) == utc(end)


def test_all_days_may_count_and_a_weekend_may_be_another(settings):
    settings.WORKING_DAYS = frozenset(range(7))
    assert working_days.end_of_window(utc("2026-11-27T15:00")) == utc("2026-11-30T15:00")
    assert working_days.window_text() == "3 days"
    settings.WORKING_DAYS = frozenset({6, 0, 1, 2, 3})
    assert working_days.end_of_window(utc("2026-11-26T15:00")) == utc("2026-12-01T15:00")
    assert working_days.window_text() == "3 working days"


@pytest.mark.parametrize(
    ("now", "text"),
    [
        ("2026-11-26T15:00", "Tuesday, Dec 1, 15:00 (3 working days)"),
        ("2026-11-27T16:00", "Tuesday, Dec 1, 15:00 (2 working days)"),
        ("2026-11-29T12:00", "Tuesday, Dec 1, 15:00 (2 working days)"),
        ("2026-12-01T09:00", "Tuesday, Dec 1, 15:00 (in 6 hours)"),
    ],
)
def test_the_end_in_words(now, text):
    with time_machine.travel(utc(now), tick=False):
        assert working_days.until(utc("2026-12-01T15:00")) == text


def test_a_reminder_comes_one_working_day_before_the_end(settings):
    start = utc("2026-11-26T15:00")
    assert working_days.reminder_before_end(start, working_days.end_of_window(start)) == utc("2026-11-30T15:00")
    settings.REQUEST_WINDOW_DAYS = 1
    assert working_days.reminder_before_end(start, working_days.end_of_window(start)) == utc("2026-11-27T03:00")


@pytest.mark.parametrize("name", ["WORKING_DAYS", "HOLIDAYS"])
def test_a_setting_that_cannot_be_read_is_noted_and_the_default_counts(monkeypatch, name):
    monkeypatch.delenv("WORKING_DAYS")
    monkeypatch.setenv(name, "mon,nonsense")
    reader = Reader(PlainEnv())
    assert reader.weekdays("WORKING_DAYS", "mon,tue") == frozenset({0, 1})
    assert reader.dates("HOLIDAYS") == frozenset()
    assert set(reader.problems) == {name}
    monkeypatch.setenv(name, "Monday, TUE" if name == "WORKING_DAYS" else "2026-12-25, 2026-12-26")
    reader = Reader(PlainEnv())
    assert reader.weekdays("WORKING_DAYS", "mon,tue") == frozenset({0, 1})
    assert len(reader.dates("HOLIDAYS")) == (2 if name == "HOLIDAYS" else 0)
    assert reader.problems == {}
