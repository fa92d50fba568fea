"""No statement about all people may become quadratic, whatever PostgreSQL believes about the size of a table.

A load that was rolled back, and cleaned by autovacuum, leaves a table of many pages in which PostgreSQL expects no row.
It still does while the next transaction fills the table.
"""

from __future__ import annotations

import contextlib
import re

import pytest
from django.db import DatabaseError, connection, transaction

from benchmarks.generate import organization
from integrations.models import IntegrationProfile
from subscriptions import bulk_sql, search
from subscriptions.candidates.actions import cool_down
from subscriptions.downloads.facts import staging
from subscriptions.eligibility import evaluate
from subscriptions.eligibility.terms import current_terms
from subscriptions.models import DownloadRun, ReclaimRule, Subscription

pytestmark = [
    pytest.mark.django_db,
    pytest.mark.skipif(connection.vendor != "postgresql", reason="the planner of PostgreSQL is meant"),
]

FILLED = ("subscriptions_evaluation", "subscriptions_searchtext")
# As a table looks after a load was rolled back and cleaned; the rows themselves are there.
BELIEVED_EMPTY = "UPDATE pg_class SET reltuples = 0, relpages = 156 WHERE relname = ANY(%s)"
# The statement as it was when a run of the tests did not end.
EVALUATED_FOR_EACH_ROW = """
UPDATE {table} SET verdict = evaluated.verdict_now, idle_since = evaluated.idle_since, evaluated_at = %s
  FROM ({rows}) AS evaluated WHERE evaluated.id = {table}.subscription_id
"""


@pytest.fixture
def profile(db) -> IntegrationProfile:
    made = organization(members=3000, statistics="ANALYZE subscriptions_subscription")
    with connection.cursor() as cursor:
        cursor.execute("SELECT rolsuper FROM pg_roles WHERE rolname = current_user")
        if cursor.fetchone() != (True,):
            pytest.skip("this user may not change what PostgreSQL believes")
        cursor.execute(BELIEVED_EMPTY, [list(FILLED)])
    ReclaimRule.objects.update(last_activity_threshold=200)
    return made


@contextlib.contextmanager
def explained(of: str):
    """A list that gets the plan of each statement with `of`, which is executed as well."""
    plans: list[str] = []

    def explain(execute, sql, params, many, context):
        if of in sql:
            execute(f"EXPLAIN {sql}", params, many, context)
            plans.append("\n".join(row[0] for row in context["cursor"].fetchall()))
        return execute(sql, params, many, context)

    with connection.execute_wrapper(explain):
        yield plans


def without_defense(monkeypatch) -> None:
    for module in (evaluate, search):
        monkeypatch.setattr(module, "large_tables", contextlib.nullcontext)
    monkeypatch.setattr(evaluate, "UPDATE_CHANGED", EVALUATED_FOR_EACH_ROW)


def plans_of_all(profile: IntegrationProfile) -> str:
    with explained("subscriptions_evaluation") as plans:
        assert evaluate.evaluate_profile(profile)
    assert len(plans) == 2
    return "\n".join(plans)


def plan_of_ten(profile: IntegrationProfile) -> str:
    ids = list(Subscription.objects.filter(evaluation__verdict="candidate").values_list("pk", flat=True)[:10])
    with explained("UPDATE subscriptions_evaluation") as plans:
        rows = Subscription.objects.filter(pk__in=ids)
        evaluate.evaluate_rows(rows, current_terms(profile.pk), few=True)
    return "\n".join(plans)


def evaluated_for_each_row(plan: str) -> bool:
    """Whether all people would be read and evaluated once for each row of the table."""
    return bool(re.search(r"Nested Loop.*Subquery Scan on evaluated[^\n]*\n *-> +LockRows", plan, re.DOTALL))


def test_all_people_are_evaluated_without_a_loop(profile):
    assert "Nested Loop" not in plans_of_all(profile)


def test_ten_people_are_evaluated_once(profile):
    plan = plan_of_ten(profile)
    assert "CTE once" in plan
    assert not evaluated_for_each_row(plan)


def test_the_cool_down_of_one_person_reads_no_whole_table(profile):
    evaluate.evaluate_profile(profile)
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE subscriptions_evaluation")
    with explained("subscriptions_evaluation") as plans:
        cool_down([Subscription.objects.values_list("pk", flat=True)[0]], days=lambda license: 60, reason="kept")
    assert len(plans) == 2 and "Seq Scan on subscriptions_evaluation" not in "\n".join(plans)


def test_left_to_itself_postgresql_evaluates_everybody_once_for_each_row(profile, monkeypatch):
    """The control."""
    without_defense(monkeypatch)
    assert evaluated_for_each_row(plans_of_all(profile))


def test_left_to_itself_postgresql_evaluates_ten_people_once_for_each_row(profile, monkeypatch):
    """The control."""
    without_defense(monkeypatch)
    assert evaluated_for_each_row(plan_of_ten(profile))


def test_texts_are_written_without_a_loop(profile):
    with explained("INSERT INTO subscriptions_searchtext") as plans:
        search.refresh_search(profile)
    assert "Join" in plans[0]
    assert "Nested Loop" not in plans[0]


def staged(profile: IntegrationProfile) -> DownloadRun:
    """6000 members, of whom 2000 came twice."""
    run = DownloadRun.objects.filter(profile=profile).latest("pk")
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO subscriptions_downloadedmember SELECT %s, (n %% 6000)::text, '', true, 'full', 'x', NULL, "
            "NULL, true, '', '' FROM generate_series(1, 8000) AS n",
            [run.pk],
        )
        cursor.execute("ANALYZE subscriptions_downloadedmember")
        cursor.execute("SET LOCAL work_mem = '64kB'")
    return run


def test_repeated_members_are_dropped_in_one_pass(profile):
    """Also where the list of those to keep does not fit into PostgreSQL's memory."""
    run = staged(profile)
    with explained("DELETE FROM subscriptions_downloadedmember") as plans:
        staging.drop_repeated(run)
    assert "SubPlan" not in plans[0]
    assert "Nested Loop" not in plans[0]
    assert staging.counts(run) == (6000, 6000)


def test_left_to_itself_postgresql_reads_the_list_again_for_each_row(profile, monkeypatch):
    """The control."""
    run = staged(profile)
    monkeypatch.setattr(staging, "large_tables", contextlib.nullcontext)
    monkeypatch.setitem(staging.DROP_REPEATED, "postgresql", staging.DROP_REPEATED["sqlite"].replace("rowid", "ctid"))
    with explained("DELETE FROM subscriptions_downloadedmember") as plans:
        staging.drop_repeated(run)
    assert "SubPlan" in plans[0]
    assert "hashed SubPlan" not in plans[0]


def settings() -> tuple[str, ...]:
    with connection.cursor() as cursor:
        cursor.execute("SELECT current_setting('enable_nestloop'), current_setting('hash_mem_multiplier')")
        return tuple(cursor.fetchone())


def test_what_follows_is_planned_as_usual(db):
    usual = settings()
    assert usual[0] == "on"
    with transaction.atomic():
        with bulk_sql.large_tables():
            assert settings() == ("off", "1000")
        assert settings() == usual
        with bulk_sql.large_tables(), bulk_sql.large_tables():
            pass
        assert settings() == usual


def test_what_follows_an_error_is_planned_as_usual(db):
    usual = settings()
    with transaction.atomic():
        with pytest.raises(DatabaseError), bulk_sql.large_tables(), connection.cursor() as cursor:
            cursor.execute("SELECT 1 / 0")
        assert settings() == usual


def test_inside_of_a_merge_the_settings_stay(db):
    with transaction.atomic():
        bulk_sql.expect_large_tables()
        with bulk_sql.large_tables():
            pass
        assert settings() == ("off", "1000")
