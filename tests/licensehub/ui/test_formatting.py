"""Days are counted one way, and people are shown by name."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from django.contrib.auth.models import User
from django.utils import timezone, translation

from licensehub.ui.formatting import ago, left, number
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
        assert number(1240) == "1.240"


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
