"""The cached rows are those that connecting and a first download write."""

from __future__ import annotations

import re
from collections import Counter
from datetime import UTC, datetime, timedelta

import pytest
import time_machine
from django.apps import apps
from django.db import models, transaction
from django.utils import timezone

from subscriptions.models import Bucket, DecidingRight, ReclaimRule, Subscription
from tests.support.audit_chain import verify_chain
from tests.support.data import cached_rows, cached_world
from tests.support.fixtures import World, connect, fill, person

# Drawn by each download, or numbered, or made from such values.
DRAWN = {"token", "ciphertext", "salt", "text_digest", "hmac", "hash", "previous_hash", "correlation", "target_id"}
DRAWN |= {"new_after", "new_until"}
MOMENT = re.compile(r"\d{4}-\d\d-\d\d[ T]\d\d:\d\d:\d\d(\.\d+)?(\+00:00|Z)?")
KEY = re.compile(r"profile \d+|\[\d+\]|'run': \d+|\bD-\d+")


def written() -> dict[str, Counter[str]]:
    """Table -> its rows, without keys and with "now" for the moments of the last minutes."""
    tables = cached_rows.columns_of_tables()
    # A model that is not managed shows some columns of another one's table.
    managed = [model for model in apps.get_models(include_auto_created=True) if model._meta.managed]
    found = [model for model in managed if model._meta.db_table in tables and not model._meta.proxy]
    return {model._meta.db_table: Counter(facts(row) for row in model._default_manager.all()) for model in found}


def facts(row: models.Model) -> str:
    fields = [field for field in row._meta.local_concrete_fields if not (field.primary_key or field.remote_field)]
    values = {field.name: getattr(row, field.attname) for field in fields if field.name not in DRAWN}
    text = KEY.sub("(key)", ", ".join(f"{name}={value}" for name, value in values.items()))
    return MOMENT.sub(age if isinstance(row, Bucket) else or_now, text)


def or_now(found: re.Match[str]) -> str:
    return "now" if abs(since(found)) < timedelta(minutes=10) else found[0]


def age(found: re.Match[str]) -> str:
    """Buckets count back from now in half days."""
    return f"{round(since(found) / timedelta(hours=12))} half days"


def since(found: re.Match[str]) -> timedelta:
    return datetime.now(UTC) - datetime.fromisoformat(found[0]).replace(tzinfo=UTC)


def test_the_same_rows_in_every_table(db, sandbox, at_sandbox, settings, allow_http):
    cache = cached_world.current()
    fill(cache, settings, allow_http)
    savepoint = transaction.savepoint()
    assert cache.load_connected(sandbox)
    connected = written()
    assert cache.load_downloaded(sandbox)
    downloaded = written()
    assert verify_chain().findings == []
    transaction.savepoint_rollback(savepoint)

    world = World(sandbox, None, connect(at_sandbox), cache)
    assert written() == connected
    world.download()
    assert written() == downloaded
    assert {table for table, rows in downloaded.items() if rows} > {"subscriptions_subscription", "audit_auditevent"}


def asked(world: World) -> bool:
    """Whether it was a real download."""
    return world.miro.requests() != []


def test_cached_rows_need_no_request(world):
    run = world.first_download()
    assert not asked(world)
    assert (run.state, Subscription.objects.count()) == ("complete", run.read)


def test_the_accounts_of_a_test_need_no_request(alice, world, bob, carol):
    """An approver comes with a row of `DecidingRight`, which switches the cache off for no test."""
    world.first_download()
    assert not asked(world)


def test_the_accounts_of_each_test_have_the_same_rows(db):
    made = []
    for _ in range(2):
        savepoint = transaction.savepoint()
        person("bob", "Approver")
        made.append(cached_rows.rows())
        transaction.savepoint_rollback(savepoint)
    assert made[0] == made[1]
    assert DecidingRight._meta.db_table in made[0]


def test_a_changed_rule_is_downloaded_for_real(world):
    ReclaimRule.objects.update(licenses=["free"])
    world.first_download()
    assert asked(world)


def test_a_changed_person_is_downloaded_for_real(world):
    person = world.sandbox.world.ids[0]
    world.miro.change(person, email="new@northwind.example")
    world.first_download()
    assert asked(world)
    assert Subscription.objects.get(external_id=person).email == "new@northwind.example"


def test_after_a_fault_is_planted_it_is_downloaded_for_real(world):
    world.miro.fault("error_before", match={"path": "/nowhere"})
    world.first_download()
    assert asked(world)


@pytest.mark.parametrize("moved", [timedelta(days=1), timedelta(minutes=-5)])
def test_at_another_time_it_is_downloaded_for_real(world, moved):
    with time_machine.travel(timezone.now() + moved):
        world.first_download()
    assert asked(world)
