"""Statistics that lie, with more rows, and with lies about one table at a time: see tests/subscriptions."""

from __future__ import annotations

import pytest
from django.db import connection

from tests.subscriptions import test_many_rows
from tests.support import many_rows, plans
from tests.support.plans import LIES

pytestmark = [
    pytest.mark.chaos,
    pytest.mark.django_db,
    pytest.mark.skipif(connection.vendor != "postgresql", reason="the planner of PostgreSQL is meant"),
]

TABLES = ("subscription", "evaluation", "searchtext", "removalcandidate", "requestedremoval", "reclaim", "notice")
TABLES_OF_A_RUN = ("downloadedmember", "protection", "activitysnapshot", "rechecksnapshot")


def slow_works(members: int, lies: list[tuple[str, str]]) -> list[str]:
    plans.need_lies()
    many_rows.organization(members)
    return [
        f"{work.name}, {tables} believed {lie}: {reading.report(members)}"
        for work, (lie, tables), reading in plans.readings(many_rows.WORKS, lies)
        if reading.problem or reading.times(members) > test_many_rows.MAX_READS
    ]


@pytest.mark.timeout(1200)
def test_no_work_becomes_quadratic_with_more_rows():
    slow = slow_works(10_000, [(lie, test_many_rows.ALL) for lie in LIES])
    assert not slow, "\n\n".join(slow)


@pytest.mark.parametrize("table", (*TABLES, *TABLES_OF_A_RUN))
def test_no_work_becomes_quadratic_by_a_lie_about_one_table(table):
    """The others are what they are. So a join has a small side on one end, and a large one on the other."""
    slow = slow_works(test_many_rows.MEMBERS, [(lie, f"^subscriptions_{table}$") for lie in LIES])
    assert not slow, "\n\n".join(slow)
