"""The clock of a host decides nothing: not what was sent within 24 hours, and not which lease is over."""

from __future__ import annotations

import re
from datetime import datetime, timedelta
from pathlib import Path

import pytest
import time_machine
from django.conf import settings
from django.db import connection
from django.utils import timezone

from integrations.installation import findings
from licensehub.broker import signatures
from licensehub.database import clock
from licensehub.database.clock import database_now
from subscriptions import tasks
from subscriptions.approvals import decide
from subscriptions.approvals.request import request_reclaim
from subscriptions.candidates import caps
from subscriptions.models import Reclaim, ReclaimRule
from subscriptions.reclaims.engine import claim, commit_intent, reclaim_due
from subscriptions.sweep import lapse_approvals, recover_claims
from tests.support.fixtures import without_caps

DAY_AND_HOUR = timedelta(hours=25)
OUR_CODE = ("subscriptions", "integrations", "licensehub/audit")
HOST_CLOCK = re.compile(r"timezone\.now\b|time\.time\(|datetime\.(utc)?now\(")
# They know nothing of a database: connectors ask the vendor's limit and dates only, the verifier runs elsewhere.
NO_DATABASE = ("integrations/connectors", "licensehub/audit/chain/offline_verifier.py")

on_postgresql = pytest.mark.skipif(
    settings.DATABASES["default"]["ENGINE"].endswith("sqlite3"), reason="SQLite has the clock of its host"
)


@pytest.fixture
def full_cap(world, alice, bob):
    """Two of four approved people were sent, and the cap of 24 hours allows two."""
    world.first_download()
    without_caps(world.profile)
    decide.approve(request_reclaim(world.candidates(4), actor=alice), actor=bob)
    seats = caps.caps_of(world.profile).seats
    ReclaimRule.objects.update(rolling_cap_percent=max(1, 200 // seats))
    reclaim_due(world.profile)
    sent = len(world.deactivated_by_us())
    assert 0 < sent < 4
    return sent


@on_postgresql
def test_a_clock_of_25_hours_ahead_sends_nobody_more(full_cap, world, real_database_clock):
    with time_machine.travel(timezone.now() + DAY_AND_HOUR):
        assert clock.is_too_far()
        Reclaim.objects.update(not_before=None)
        reclaim_due(world.profile)
    assert len(world.deactivated_by_us()) == full_cap


def test_control_with_the_clock_of_the_host_a_full_cap_lets_more_through(full_cap, world):
    """The old behavior: each process used its own clock, as with `skew` = 0."""
    with time_machine.travel(timezone.now() + DAY_AND_HOUR):
        Reclaim.objects.update(not_before=None)
        reclaim_due(world.profile)
    assert len(world.deactivated_by_us()) > full_cap


@on_postgresql
def test_leases_and_approvals_end_by_the_clock_of_the_database(world, alice, bob, real_database_clock):
    world.first_download()
    decide.approve(request_reclaim(world.candidates(1), actor=alice), actor=bob)
    [item] = claim(world.profile)
    for wrong in (DAY_AND_HOUR, timedelta(days=30), -DAY_AND_HOUR):
        with time_machine.travel(timezone.now() + wrong):
            assert abs(clock.skew() - wrong) < timedelta(seconds=5)
            assert abs(database_now() - _asked()) < timedelta(seconds=5)
            assert recover_claims() == 0, "the lease of a worker that lives looks abandoned"
            assert lapse_approvals() == 0
    assert commit_intent(item, rolling=10**6)
    sent = Reclaim.objects.get(pk=item.pk)
    assert abs(sent.sending_at - _asked()) < timedelta(seconds=5)


@on_postgresql
def test_a_clock_that_jumps_is_noticed_at_once(db, real_database_clock, django_assert_num_queries):
    database_now()
    with django_assert_num_queries(0):
        for _ in range(100):
            database_now()
    with time_machine.travel(timezone.now() + timedelta(hours=1)), django_assert_num_queries(1):
        assert abs(clock.skew() - timedelta(hours=1)) < timedelta(seconds=5)
        assert clock.is_too_far()
    assert not clock.is_too_far()


@on_postgresql
@pytest.mark.parametrize("wrong", [DAY_AND_HOUR, -DAY_AND_HOUR])
def test_a_host_with_a_wrong_clock_drops_no_message_of_the_others(db, real_database_clock, monkeypatch, wrong):
    """Nor do the others drop its own. Else that host would empty the queues, or nobody would do what it enqueues."""
    theirs = signatures.signed({"body": "x"})
    with time_machine.travel(timezone.now() + wrong):
        database_now()  # as the heartbeat of a worker does every 15 seconds
        assert signatures.why_dropped(theirs) == ""
        ours = signatures.signed({"body": "x"})
        with monkeypatch.context() as control:
            control.setattr(clock, "known_skew", timedelta)
            assert signatures.why_dropped(theirs) == "old"
    clock.forget()
    assert signatures.why_dropped(ours) == ""


def _asked() -> datetime:
    with connection.cursor() as cursor:
        cursor.execute("SELECT clock_timestamp()")
        return cursor.fetchone()[0]


def test_none_of_our_code_reads_the_clock_of_the_host():
    """Use `licensehub.database.clock.database_now`."""
    found = [
        f"{path.relative_to(settings.BASE_DIR)}:{number}"
        for folder in OUR_CODE
        for path in sorted(Path(settings.BASE_DIR, folder).rglob("*.py"))
        if not any(part in path.as_posix() for part in NO_DATABASE)
        for number, line in enumerate(path.read_text().splitlines(), start=1)
        if HOST_CLOCK.search(line)
    ]
    assert not found


@on_postgresql
def test_a_wrong_clock_holds_its_host_and_is_reported(world, alice, bob, admin_client, real_database_clock):
    world.first_download()
    decide.approve(request_reclaim(world.candidates(2), actor=alice), actor=bob)
    with time_machine.travel(timezone.now() + timedelta(seconds=45)):
        tasks.sweep()
        assert reclaim_due(world.profile).held == 2
        assert set(Reclaim.objects.values_list("state", "hold_reason")) == {("queued", "clock")}
        [finding] = findings.findings()
        assert "seconds ahead of the clock of the database" in finding.text
        assert "ahead of the clock" in admin_client.get("/admin/").content.decode()
    # Another host goes on, and the finding ends when the clock is right again.
    assert reclaim_due(world.profile).reclaimed == 2
    tasks.sweep()
    assert findings.findings() == []
