"""A first download must not become quadratic, whatever PostgreSQL believes about tables it has not looked at."""

from __future__ import annotations

import pytest
from django.db import connection, transaction
from django.utils import timezone

from subscriptions.downloads.facts import merge
from subscriptions.models import DownloadRun
from subscriptions.stats import run_stats

pytestmark = [
    pytest.mark.django_db,
    pytest.mark.skipif(connection.vendor != "postgresql", reason="the planner of PostgreSQL is meant"),
]


INSERT = "INSERT INTO subscriptions_subscription"
COUNT = "GROUP BY"


def plan(run: DownloadRun, *, of: str = INSERT) -> str:
    """The plan of one statement of a first download's merge. The table of subscriptions is believed to be empty."""
    statements: list[str] = []

    def explained(execute, sql, params, many, context):
        if of not in sql:
            return execute(sql, params, many, context)
        found = execute(f"EXPLAIN {sql}", params, many, context)
        statements.extend(row[0] for row in context["cursor"].fetchall())
        return found

    with transaction.atomic(), connection.execute_wrapper(explained):
        merge.merge(run, now=timezone.now())
        if of == COUNT:
            run_stats(run.profile, now=timezone.now())
    return "\n".join(statements)


@pytest.fixture
def staged(world) -> DownloadRun:
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO subscriptions_downloadedmember SELECT 1, n::text, n::text, true, 'full', 'x', NULL, NULL, "
            "true, '', '' FROM generate_series(1, 20000) AS n"
        )
        # Really empty: pages that earlier tests have left would tell the planner something.
        cursor.execute("TRUNCATE subscriptions_subscription CASCADE")
        cursor.execute("ANALYZE subscriptions_downloadedmember")
        cursor.execute("ANALYZE subscriptions_subscription")
    now = timezone.now()
    return DownloadRun.objects.create(pk=1, profile=world.profile, started_by="command", lease_until=now, read=20000)


def test_new_members_are_found_by_one_pass(staged):
    found = plan(staged)
    assert "Nested Loop" not in found
    assert "Hash" in found or "Merge" in found


def test_left_to_itself_postgresql_takes_a_loop(staged, monkeypatch):
    """The control."""
    monkeypatch.setattr(merge, "expect_large_tables", lambda: None)
    assert "Nested Loop" in plan(staged)


def test_what_came_in_is_counted_without_sorting_it(staged):
    found = plan(staged, of=COUNT)
    assert "HashAggregate" in found
    assert "Sort" not in found


def test_left_to_itself_postgresql_sorts_it(staged, monkeypatch):
    """The control."""
    monkeypatch.setattr(merge, "expect_large_tables", lambda: None)
    assert "Sort" in plan(staged, of=COUNT)
