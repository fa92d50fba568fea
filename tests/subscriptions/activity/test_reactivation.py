"""A person whom somebody reactivated at the vendor: Python and SQL find the same ones."""

from __future__ import annotations

from datetime import UTC, datetime
from itertools import product

import pytest
from django.db import connection

from subscriptions.activity import reactivation
from subscriptions.activity.reactivation import REACTIVATED_SQL, was_reactivated


def found_by_sql(known: bool, found: bool) -> bool:
    with connection.cursor() as cursor:
        facts = "SELECT 1 AS id, CAST(%s AS boolean) AS active"
        cursor.execute(
            f"SELECT count(*) FROM ({facts}) AS s JOIN ({facts}) AS m ON s.id = m.id WHERE {REACTIVATED_SQL}",  # noqa: S608 - constants of this test
            [known, found],
        )
        return bool(cursor.fetchone()[0])


@pytest.mark.django_db
def test_python_and_sql_agree():
    pairs = list(product((True, False), repeat=2))
    by_python = [was_reactivated(known_active=known, found_active=found) for known, found in pairs]
    assert by_python == [found_by_sql(*pair) for pair in pairs]
    assert [pair for pair, reactivated in zip(pairs, by_python, strict=True) if reactivated] == [(False, True)]


def test_the_cooldown_is_the_constant():
    now = datetime(2026, 11, 1, tzinfo=UTC)
    values = reactivation.cooldown_from(now)
    assert values["cooldown_until"] - now == reactivation.REACTIVATED_COOLDOWN
