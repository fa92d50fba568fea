"""The merge and what is counted with it: by other means, the same numbers."""

from __future__ import annotations

from collections import Counter
from datetime import timedelta

import pytest
from django.db import connection
from django.utils import timezone

from subscriptions.downloads.facts import merge
from subscriptions.models import ActivitySnapshot, Subscription
from subscriptions.stats import run_stats


def test_the_rollups_are_what_one_counts_one_by_one(world):
    run = world.download()
    chosen = list(Subscription.objects.held().order_by("pk").values_list("pk", flat=True)[:3])
    Subscription.objects.filter(pk=chosen[0]).update(active=False)
    Subscription.objects.filter(pk=chosen[1]).update(gone_at=timezone.now())
    Subscription.objects.filter(pk=chosen[2]).update(last_activity_at=None)
    now = timezone.now()
    found = run_stats(run.profile, now=now)

    there = [row for row in Subscription.objects.all() if row.gone_at is None]
    held = [row for row in there if row.active]
    assert found["members"] == len(there)
    assert found["active"] == len(held) < len(there)
    assert found["by_license"] == Counter(row.license for row in held)
    assert found["never"] == sum(row.last_activity_at is None for row in held) > 0
    seen = [(now - row.last_activity_at) // timedelta(days=30) for row in held if row.last_activity_at]
    assert found["idle"] == Counter(str(30 * min(12, months)) for months in seen)


def test_facts_that_become_newer_while_it_works_are_left_alone(world, monkeypatch):
    """Somebody is looked at again between the reconciliation of all rows and the UPDATE."""
    world.first_download()
    row = Subscription.objects.candidates().first()
    world.miro.change(row.external_id, license="free")
    keep = merge._keep_changed

    def looked_at_meanwhile(run):
        Subscription.objects.filter(pk=row.pk).update(facts_at=timezone.now() + timedelta(minutes=1))
        return keep(run)

    monkeypatch.setattr(merge, "_keep_changed", looked_at_meanwhile)
    world.download()

    row.refresh_from_db()
    assert row.license != "free"


def test_nothing_is_left_of_the_reconciliation(world):
    world.first_download()
    before = ActivitySnapshot.objects.count()
    world.download()
    assert ActivitySnapshot.objects.count() == before
    assert merge.CHANGED not in connection.introspection.table_names()


@pytest.mark.skipif(connection.vendor != "postgresql", reason="the planner of PostgreSQL is meant")
def test_after_many_new_ones_the_planner_knows_them(world, monkeypatch):
    """In a transaction nobody else can tell it."""
    monkeypatch.setattr(merge, "ANALYZE_FROM", 10)
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE subscriptions_subscription")
        world.download()
        cursor.execute("SELECT reltuples FROM pg_class WHERE relname = 'subscriptions_subscription'")
        assert cursor.fetchone()[0] >= Subscription.objects.count() > 10
