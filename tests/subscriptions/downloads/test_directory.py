"""Names from the directory: a batch is one UPDATE, and only rows that differ are written."""

from __future__ import annotations

import pytest
from django.db import connection

from integrations.connectors.contract import Person
from subscriptions.downloads import directory
from subscriptions.models import Subscription


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


def test_only_what_differs_is_written(downloaded):
    told = people()
    assert directory.write_names(downloaded.profile, told) == (True, 3)
    assert directory.write_names(downloaded.profile, told) == (True, 0)
    assert list(Subscription.objects.order_by("pk").values_list("cost_center", flat=True)[:4])[:3] == ["K1"] * 3
    assert Subscription.objects.filter(cost_center="K1").count() == 3


def test_names_that_would_break_a_statement_stay_text(downloaded):
    name = 'O\'Brien "Bobby"; DROP TABLE x;-- \\ {} %s %% 张 \U0001f600'
    directory.write_names(downloaded.profile, people(1, name=name))
    assert Subscription.objects.filter(name=name).count() == 1


def test_a_name_that_is_gone_is_emptied(downloaded):
    assert directory.write_names(downloaded.profile, people(1, name="", department="")) == (True, 1)
    row = Subscription.objects.order_by("pk").first()
    assert (row.name, row.department, row.display_name) == ("", "", row.email)


def test_somebody_who_comes_twice_is_written_once(downloaded):
    [first] = people(1, name="First")
    assert directory.write_names(downloaded.profile, [first, Person(first.external_id, name="Last")]) == (True, 1)
    assert Subscription.objects.order_by("pk").first().name == "Last"


def test_batches_are_single_statements(downloaded, monkeypatch, django_assert_num_queries):
    monkeypatch.setattr(directory, "BATCH", 50)
    told = people(100)
    with django_assert_num_queries(3):
        # Whether anybody is known is asked until it is answered.
        directory.write_names(downloaded.profile, told)


def test_people_of_another_profile_are_left_alone(downloaded):
    told = people()
    Subscription.objects.update(profile_id=downloaded.profile.pk + 1)
    assert directory.write_names(downloaded.profile, told) == (False, 0)
    assert not Subscription.objects.filter(cost_center="K1").exists()


def test_an_empty_directory_says_nothing(downloaded):
    assert directory.write_names(downloaded.profile, []) == (False, 0)


@pytest.mark.skipif(connection.vendor != "sqlite", reason="a plan of SQLite")
def test_sqlite_looks_each_person_up(db):
    """Otherwise SQLite reads the whole page again for each row of the table: a page took a minute and a half."""
    text = directory.WRITE["sqlite"].format(people=directory.PEOPLE["sqlite"], **directory.PARTS)
    with connection.cursor() as cursor:
        cursor.execute(f"EXPLAIN QUERY PLAN {text}", ["[]", 1])
        steps = [row[3] for row in cursor.fetchall()]
    assert any("(profile_id=? AND external_id=?)" in step for step in steps), steps
    assert not any(step.startswith("SCAN subscriptions_subscription") for step in steps), steps
