"""Counts that stop, and say so."""

from __future__ import annotations

import pytest
from django.db import connection

from licensehub.ui.lists import counts
from licensehub.ui.lists.counts import Count, capped, capped_by, capped_each, estimated, whole_table
from subscriptions.models import Subscription


@pytest.mark.parametrize(
    ("count", "words"),
    [
        (Count(0), "0"),
        (Count(9_999), "9,999"),
        (Count(10_000), "10,000"),
        (Count(10_000, exact=False), "10,000+"),
        (Count(0, exact=False), "?"),
        (Count(1_004_711, exact=False, about=True), "about 1,000,000"),
        (Count(15_499, exact=False, about=True), "about 15,000"),
    ],
)
def test_in_words(count, words):
    assert str(count) == words


def test_where_nobody_counted_to_the_end_there_may_be_some():
    assert Count(0, exact=False)
    assert not Count(0)


def test_it_stops(bucket, monkeypatch):
    monkeypatch.setattr(counts, "STOP", 59)
    assert capped(Subscription.objects.all()) == Count(59, exact=False)
    monkeypatch.setattr(counts, "STOP", 60)
    assert capped(Subscription.objects.all()) == Count(60)


def test_many_are_what_postgresql_believes_and_few_are_counted(bucket, monkeypatch):
    rows = Subscription.objects.filter(license="full")
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE")
    assert estimated(rows) == Count(60)
    monkeypatch.setattr(counts, "EXACT_UP_TO", 59)
    believed = Count(60, exact=False, about=True)
    assert estimated(rows) == (believed if connection.vendor == "postgresql" else Count(60))
    assert estimated(rows.filter(last_activity_at=None)) == Count(12)


@pytest.mark.skipif(connection.vendor != "postgresql", reason="believes nothing")
def test_there_are_no_fewer_than_were_counted(bucket, monkeypatch):
    """PostgreSQL takes conditions that all hold for rare ones."""
    monkeypatch.setattr(counts, "EXACT_UP_TO", 20)
    rows = Subscription.objects.filter(license__endswith="l", role__endswith="r", email__endswith="e", active=True)
    assert estimated(rows).number >= 21


def test_several_at_once(bucket, django_assert_num_queries):
    rows = Subscription.objects.all()
    with django_assert_num_queries(1):
        found = capped_each({"all": rows, "never": rows.filter(last_activity_at=None), "nobody": rows.none()})
    assert found == {"all": Count(60), "never": Count(12), "nobody": Count(0)}


@pytest.mark.parametrize(("read_once", "queries"), [(60, 1), (59, 2)])
def test_each_value_under_a_filter(bucket, monkeypatch, django_assert_num_queries, read_once, queries):
    """Few rows are read once; of more, each value is counted alone. The counts are the same."""
    monkeypatch.setattr(counts, "READ_ONCE", read_once)
    rows = Subscription.objects.filter(email__contains="@")
    full = rows.filter(license="full").count()
    monkeypatch.setattr(counts, "STOP", full - 1)
    with django_assert_num_queries(queries):
        found = capped_by("license", ["full", "nothing"], rows)
    assert found == {"full": Count(full - 1, exact=False), "nothing": Count(0)}
    assert capped_by("license", ["full"], rows.none()) == {"full": Count(0)}


def test_a_sum_is_no_more_exact_than_its_parts():
    assert Count(2) + Count(3) == Count(5)
    assert Count(10_000, exact=False) + Count(3) == Count(10_000, exact=False)
    assert Count(9_999) + Count(9_999) == Count(10_000, exact=False)


def test_a_whole_table_is_exact_while_it_is_small(bucket, monkeypatch):
    assert whole_table(Subscription.objects.all()) == Count(60)
    monkeypatch.setattr(counts, "STOP", 20)
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE")
    believed = whole_table(Subscription.objects.all())
    assert believed == (Count(60, exact=False, about=True) if connection.vendor == "postgresql" else Count(60))
