"""No operation on many rows becomes quadratic, even if PostgreSQL's statistics of the tables are wrong.

A load that was rolled back, and cleaned by autovacuum, leaves tables of many pages in which PostgreSQL expects no row.
So each case runs with statistics by which the tables are empty, a thousand times smaller, and a thousand times larger
than they are. `tests/chaos/test_many_rows.py` does the same with more rows, and with one table at a time.
"""

from __future__ import annotations

import ast
import contextlib
import re
from pathlib import Path

import pytest
from django.conf import settings
from django.db import connection

from subscriptions import bulk_sql
from subscriptions.candidates import propose
from subscriptions.eligibility import evaluate
from subscriptions.models import ReclaimRequest, RemovalCandidate
from tests.support.data import many_rows, plans, prepared_rows
from tests.support.data.many_rows import CASES
from tests.support.data.plans import WRONG_STATISTICS, Case

pytestmark = [
    pytest.mark.django_db,
    pytest.mark.skipif(connection.vendor != "postgresql", reason="the planner of PostgreSQL is meant"),
]

MEMBERS = 1200
# How often each row may be read, in all statements of a case together. A quadratic plan reads it hundreds of times.
MAX_READS = 90
ALL = "^(subscriptions|audit)_"
# A function that plans a statement over many rows.
MARKS = re.compile(
    r"\b(large_tables|expect_large_tables|planned_for|insert_selected|copy_or_insert|set_column|batches)\("
)
# Functions of MARKS that no case runs, each with a reason.
NOT_RUN = {
    "downloads/facts/staging.py:store": "it writes page by page, and reads nothing",
    "downloads/directory.py:gather": "it writes page by page, and reads nothing",
    "reconciliation/reconcile.py:_against_log": "it needs a vendor's log, and reads as `last_sends` does",
}


@pytest.fixture
def organization(db) -> None:
    plans.need_wrong_statistics()
    prepared_rows.organization(MEMBERS)


# Some fifty cases, each three times: with two other processes on the machine, it takes minutes.
@pytest.mark.timeout(500)
def test_no_case_becomes_quadratic(organization):
    slow, ran = [], set()
    for case, (believed, _), reading in plans.readings(CASES, [(believed, ALL) for believed in WRONG_STATISTICS]):
        ran |= reading.functions
        if reading.times(MEMBERS) > MAX_READS or reading.problem:
            slow.append(f"{case.name}, tables believed {believed}: {reading.report(MEMBERS)}")
    assert not slow, "\n\n".join(slow)
    missing = sorted(marked_functions() - ran - set(NOT_RUN))
    assert not missing, "Add a case to tests/support/data/many_rows.py."


def marked_functions() -> set[str]:
    """`candidates/propose.py:_open`, for all functions of our packages that plan a statement over many rows."""
    root = Path(settings.BASE_DIR) / "subscriptions"
    found = set()
    for path in root.rglob("*.py"):
        name = path.relative_to(root).as_posix()
        if name.startswith(("admin/", "migrations/")) or name == "bulk_sql.py":
            continue
        text = path.read_text()
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.FunctionDef) and MARKS.search(ast.get_source_segment(text, node) or ""):
                found.add(f"{name}:{node.name}")
    return found


# The statement of an approval before it read ids first.
def move_on_as_before(made: ReclaimRequest) -> None:
    candidates = made.removals.not_dropped().values("candidate")
    RemovalCandidate.objects.filter(pk__in=candidates).update(attention="")


CONTROLS = [
    (Case("an approval as before", move_on_as_before, prepared_rows.asked), "empty"),
    ("numbers of a profile", "empty"),
    ("verdicts, with protections", "a thousand times larger"),
    ("propose", "empty"),
    ("withdraw", "empty"),
]


def test_without_our_settings_postgresql_becomes_quadratic(organization, monkeypatch):
    """The control has neither the settings for large tables nor lists of ids."""
    for module in (bulk_sql, evaluate, propose, many_rows.people_counts):
        monkeypatch.setattr(module, "large_tables", contextlib.nullcontext)
    monkeypatch.setitem(plans.SETTINGS, "statement_timeout", "2s")
    by_name = {case.name: case for case in CASES}
    for which, believed in CONTROLS:
        case = by_name.get(which, which)
        [(_, _, reading)] = plans.readings([case], [(believed, ALL)])
        assert reading.problem or reading.times(MEMBERS) > MAX_READS, case.name
