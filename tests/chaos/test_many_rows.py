"""Wrong statistics with more rows, and wrong statistics of one table at a time: see tests/subscriptions."""

from __future__ import annotations

import pytest
from django.db import connection

from tests.subscriptions.test_many_rows import ALL
from tests.support.data import many_rows, plans, prepared_rows
from tests.support.data.plans import WRONG_STATISTICS

pytestmark = [
    pytest.mark.chaos,
    pytest.mark.django_db,
    pytest.mark.skipif(connection.vendor != "postgresql", reason="the planner of PostgreSQL is meant"),
]

MAX_READS = 150
TABLES = ("subscription", "evaluation", "searchtext", "removalcandidate", "requestedremoval", "reclaim", "notice")
TABLES_OF_A_RUN = ("downloadedmember", "protection", "activitysnapshot", "rechecksnapshot")


def slow_cases(members: int, beliefs: list[tuple[str, str]]) -> list[str]:
    plans.need_wrong_statistics()
    prepared_rows.organization(members)
    return [
        f"{case.name}, {tables} believed {believed}: {reading.report(members)}"
        for case, (believed, tables), reading in plans.readings(many_rows.CASES, beliefs)
        if reading.problem or reading.times(members) > MAX_READS
    ]


@pytest.mark.timeout(1200)
def test_no_case_becomes_quadratic_with_more_rows():
    slow = slow_cases(10_000, [(believed, ALL) for believed in WRONG_STATISTICS])
    assert not slow, "\n\n".join(slow)


@pytest.mark.parametrize("table", (*TABLES, *TABLES_OF_A_RUN))
def test_no_case_becomes_quadratic_by_wrong_statistics_of_one_table(table):
    """The statistics of the other tables are right, so one table of a join seems small and the other one large."""
    slow = slow_cases(2000, [(believed, f"^subscriptions_{table}$") for believed in WRONG_STATISTICS])
    assert not slow, "\n\n".join(slow)
