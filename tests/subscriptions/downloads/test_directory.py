"""Names from the directory: they are gathered, and one UPDATE writes only rows that differ."""

from __future__ import annotations

import pytest
from django.db import connection

from integrations.connectors.contract import Person
from subscriptions.downloads import directory
from subscriptions.models import DownloadedPerson, DownloadRun, Subscription
from subscriptions.profiles import lifecycle


@pytest.fixture
def downloaded(world):
    world.download()
    return world


def people(count: int = 3, **changes: str) -> list[Person]:
    rows = Subscription.objects.order_by("pk")[:count]
    return [
        Person(row.external_id, **{"name": row.name, "department": row.department, "cost_center": "K1", **changes})
        for row in rows
    ]


def write(*pages: list[Person]) -> directory.Written:
    run = DownloadRun.objects.latest("pk")
    for page in pages:
        directory.gather(run, page)
    written = directory.write_gathered(run)
    assert not DownloadedPerson.objects.exists()
    return written


def test_only_what_differs_is_written(downloaded):
    told = people()
    assert write(told) == (True, 3)
    assert write(told) == (True, 0)
    assert list(Subscription.objects.order_by("pk").values_list("cost_center", flat=True)[:4])[:3] == ["K1"] * 3
    assert Subscription.objects.filter(cost_center="K1").count() == 3


def test_names_that_would_break_a_statement_stay_text(downloaded):
    name = 'O\'Brien "Bobby"; DROP TABLE x;-- \\ {} %s %% \t \\N 张 \U0001f600'
    write(people(1, name=name))
    assert Subscription.objects.filter(name=name).count() == 1


def test_a_name_that_is_gone_is_emptied(downloaded):
    assert write(people(1, name="", department="")) == (True, 1)
    row = Subscription.objects.order_by("pk").first()
    assert (row.name, row.department, row.display_name) == ("", "", row.email)


def test_somebody_who_comes_again_is_written_as_the_last_page_shows_them(downloaded):
    [first], [other], [last] = (people(1, name=name) for name in ("First", "Other", "Last"))
    assert write([first, other], [last]) == (True, 1)
    assert Subscription.objects.order_by("pk").first().name == "Last"


def test_any_number_of_people_takes_the_same_statements(downloaded, django_assert_num_queries):
    run, told = DownloadRun.objects.latest("pk"), people(100)
    directory.gather(run, told)
    # PostgreSQL has two more queries: the settings of the planner, and a savepoint.
    with django_assert_num_queries(9 if connection.vendor == "postgresql" else 6):
        directory.write_gathered(run)


def test_people_of_another_profile_are_left_alone(downloaded):
    told = people()
    Subscription.objects.update(profile_id=downloaded.profile.pk + 1)
    assert write(told) == (False, 0)
    assert not Subscription.objects.filter(cost_center="K1").exists()


def test_the_rows_of_another_profile_are_not_forgotten(downloaded):
    """Two profiles read their directories at the same time."""
    directory.gather(DownloadRun.objects.latest("pk"), people())
    other = lifecycle.create_profile(name="Second", organization_id="43", kind="miro_enterprise", actor=None)
    directory.forget(other)
    assert DownloadedPerson.objects.count() == 3
    directory.forget(downloaded.profile)
    assert not DownloadedPerson.objects.exists()


def test_an_empty_directory_says_nothing(downloaded):
    assert write() == (False, 0)


@pytest.mark.skipif(connection.vendor != "sqlite", reason="a plan of SQLite")
def test_sqlite_looks_each_person_up(db):
    """Without the index, SQLite would read all people again for each row of the other table."""
    for statement, parameters in ((directory.WRITE, [1, 1]), (directory.KNOWS, [1, 1]), (directory.DROP_FORMER, [1])):
        with connection.cursor() as cursor:
            cursor.execute(f"EXPLAIN QUERY PLAN {statement}", parameters)
            steps = [row[3] for row in cursor.fetchall()]
        assert any("_id=? AND external_id=?" in step for step in steps), steps
        assert not any(step.startswith("SCAN ") for step in steps if "CONSTANT" not in step), steps
