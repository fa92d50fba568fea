"""Days are counted one way, and people are shown by name."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from django.contrib.auth.models import User
from django.forms import DateField
from django.utils import timezone, translation

from licensehub.ui.formatting import ago, day, day_and_time, day_of_year, inside, left, number, percent
from licensehub.ui.names import names_of

NOW = datetime(2026, 11, 27, 15, 10, tzinfo=UTC)


@pytest.mark.parametrize(
    ("away", "shown"),
    [
        (timedelta(days=3), "3 days left"),
        (timedelta(days=3) - timedelta(seconds=1), "3 days left"),
        (timedelta(days=2, hours=8), "2 days left"),
        # By then it is the third day from now.
        (timedelta(days=2, hours=9), "3 days left"),
        (timedelta(days=1), "1 day left"),
        (timedelta(hours=5, minutes=1), "6 hours left"),
        (timedelta(minutes=59, seconds=59), "60 minutes left"),
        (timedelta(seconds=1), "1 minute left"),
        (timedelta(0), "just now"),
        (-timedelta(days=2, hours=23), "2 days ago"),
    ],
)
def test_a_time_to_come_begins_with_its_whole_length(away, shown):
    moment = NOW + away
    assert left(moment, now=NOW) == shown
    if away > timedelta(0):
        assert ago(moment, now=NOW) == f"in {shown.removesuffix(' left')}"


def test_a_number_has_the_separators_of_the_language():
    assert [number(999), number(1240), number(-1_000_000)] == ["999", "1,240", "-1,000,000"]
    with translation.override("de"):
        assert [number(1240), number(88, digits=1), percent(Decimal("17.3"))] == [
            "1.240",
            "88,0",
            "17,3\N{NO-BREAK SPACE}%",
        ]
    assert (number(88, digits=1), percent(Decimal("17.3"))) == ("88.0", "17.3%")


def test_a_day_is_written_as_the_language_does_and_read_as_browsers_send_it():
    summer, field = datetime(2026, 8, 21, 14, 8, tzinfo=UTC), DateField()
    assert [day(summer), day_of_year(summer), day_and_time(summer)] == ["Aug 21, 2026", "Aug 21", "Aug 21, 2026, 14:08"]
    assert inside("Never active") == "never active"
    with translation.override("de"):
        assert [day(summer), day_of_year(summer), day_and_time(summer)] == [
            "21. Aug 2026",
            "21. Aug",
            "21. Aug 2026, 14:08",
        ]
        assert inside("Nie aktiv") == "Nie aktiv", "a noun in front keeps its capital letter"
        assert {field.clean(text) for text in ("2026-08-21", "21.08.2026")} == {summer.date()}
        assert field.widget.format_value(summer.date()) == "2026-08-21"


def test_the_same_moment_is_written_in_each_time_zone():
    """Written texts are kept, and a moment has another day and another minute in another zone."""
    late = datetime(2026, 8, 21, 22, 30, tzinfo=UTC)
    with timezone.override("UTC"):
        assert [day(late), day_and_time(late)] == ["Aug 21, 2026", "Aug 21, 2026, 22:30"]
    with timezone.override("Europe/Berlin"):
        assert [day(late), day_and_time(late)] == ["Aug 22, 2026", "Aug 22, 2026, 00:30"]
        assert day(late.date()) == "Aug 21, 2026"


def test_a_day_of_25_hours_is_a_day():
    with timezone.override("Europe/Berlin"):
        before = datetime(2026, 10, 24, 22, 10, tzinfo=UTC)
        assert left(before + timedelta(hours=24, minutes=20), now=before) == "1 day left"


def test_names():
    users = [User(username="nils", first_name="Nils", last_name="Berg"), User(username="boss")]
    assert names_of(users) == "Nils Berg or boss"
    assert names_of([]) == ""
    others = [User(username=name) for name in ("carl", "dora", "emil")]
    assert names_of([*users, *others]) == "Nils Berg, boss, carl or 2 others"
