"""Each check of the doctor says that all is well while it is, and what is wrong when it is not."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import timedelta
from types import SimpleNamespace

import pytest
import redis
from cryptography.fernet import Fernet
from django.db import connection, transaction
from django.db.migrations.recorder import MigrationRecorder

from integrations import sending
from integrations.installation import findings as installation
from integrations.models import Connection, ProcessKind
from licensehub.audit.actions import Action
from licensehub.audit.anchors.keys import new_keys
from licensehub.audit.chain.checkpoint import Mismatch
from licensehub.audit.findings import Problem
from licensehub.audit.log import Row, record_rows
from licensehub.audit.models import ChainHead, Destination
from licensehub.audit.triggers import create, drop
from licensehub.database import clock
from licensehub.database.clock import database_now
from licensehub.logs.known_secrets import keys_mark
from licensehub.operations.doctor.checks import broker, evidence, machines
from licensehub.operations.doctor.findings import run_checks
from subscriptions.approvals import decide
from subscriptions.approvals.request import request_reclaim
from subscriptions.models import DownloadRun, Notice, Reclaim
from tests.licensehub.operations.test_doctor import row
from tests.support.attacks import attack
from tests.support.fixtures import World
from tests.support.servers.webhooks import stored_webhook

GB = machines.GIGABYTE


def said(name: str) -> tuple[str, str]:
    """The level and the title of this check."""
    finding = run_checks([name])[name]
    return finding.level.value, finding.title


def level(name: str) -> str:
    return said(name)[0]


def test_disks_of_all_hosts(db, monkeypatch):
    for free, total, expected in (
        (50, 100, "ok"),
        (9, 100, "look"),
        (1.9, 10, "look"),
        (2, 100, "act"),
        (0.4, 4, "act"),
    ):
        monkeypatch.setattr(machines, "free_space", lambda path, f=free, t=total: (int(f * GB), int(t * GB)))
        assert level("disk") == expected, (free, total)
    monkeypatch.setattr(machines, "free_space", lambda path: (50 * GB, 100 * GB))
    row(ProcessKind.WORKER, "celery@app-2", facts={"keys": keys_mark(), "disk_free": GB, "disk_total": 100 * GB})
    assert said("disk") == ("act", "The disk of app-2 is nearly full")


def test_clocks_and_letters(world: World, monkeypatch):
    assert (level("clocks"), level("locale")) == ("ok", "ok")
    with monkeypatch.context() as patch:
        patch.setattr(clock, "is_too_far", lambda: True)
        assert level("clocks") == "act"
    installation.report(f"{installation.CLOCK}app-2", "The clock of app-2 is 40 seconds ahead.")
    found = run_checks(["clocks"])["clocks"]
    assert (found.level, found.detail) == ("act", "The clock of app-2 is 40 seconds ahead.")
    # The vendor says what time it is.
    assert said("vendor_clock") == ("ok", "The clock agrees with the vendor's")
    for seconds in (40, -40):
        with monkeypatch.context() as patch:
            # Only there: the server of the vendor is in this process.
            patch.setattr(machines, "time", SimpleNamespace(time=lambda ahead=seconds: time.time() + ahead))
            found = run_checks(["vendor_clock"])["vendor_clock"]
        assert found.title == "The clock differs from the vendor's" and 38 <= int(found.value.split()[0]) <= 42
    monkeypatch.setattr(machines, "_encodings", lambda: iter(["utf-8", "ANSI_X3.4-1968"]))
    assert level("locale") == "look"


@pytest.fixture
def limited(valkey: redis.Redis) -> Iterator[redis.Redis]:
    yield valkey
    valkey.config_set("maxmemory", "0")


def test_a_broker_that_is_nearly_full_or_cannot_write(db, limited, monkeypatch):
    used = int(limited.info("memory")["used_memory"])
    limited.config_set("maxmemory", str(used * 3))
    assert level("broker") == "ok"
    limited.config_set("maxmemory", str(used * 11 // 10))
    assert said("broker") == ("act", "The broker is nearly full")
    for name in ("aof_last_write_status", "rdb_last_bgsave_status"):
        found = broker._persistence({name: "err", "aof_enabled": 1}, "60 1", "Valkey")
        assert (found.level, found.title) == ("act", "The broker cannot write to its disk")
    assert level("broker_messages") == "ok"
    monkeypatch.setattr(installation, "dropped_lately", lambda: 3)
    assert said("broker_messages") == ("act", "Foreign messages were found in the broker")


def test_an_audit_that_is_shorter_or_was_not_taken(world: World, settings, monkeypatch):
    settings.ANCHOR_KEYS = ",".join(new_keys().words())
    assert (level("audit"), said("anchors")) == ("ok", ("none", "There is no anchor yet"))
    assert run_checks(["anchors"])["anchors"].value == "none yet"
    for mismatch, expected in (
        (Mismatch("It ended at #9."), "act"),
        (Mismatch("It may be.", unsure=True), "none"),
        (Mismatch(nothing_kept=True), "none"),
        (None, "ok"),
    ):
        monkeypatch.setattr(evidence, "find_mismatch", lambda found=mismatch: found)
        assert level("audit") == expected, mismatch
    for change in ("sequence = sequence - 1", "hash = 'another'"):
        head = ChainHead.objects.get()
        attack(f"UPDATE audit_chainhead SET {change}")  # noqa: S608 - written here
        assert said("audit") == ("act", "The audit does not end where it should"), change
        attack("UPDATE audit_chainhead SET sequence = %s, hash = %s", head.sequence, head.hash)
    assert level("audit") == "ok"
    Destination.objects.create(name="anchor.file", wrong=Problem.FORGED.value)
    assert said("anchors") == ("act", "A copy of the anchors does not fit")
    Destination.objects.all().delete()
    settings.ANCHOR_KEYS = ""
    assert said("anchors") == ("look", "A destination has not taken everything")


def test_a_history_that_nobody_verified_lately(world: World, alice, monkeypatch):
    def verify(found: int) -> None:
        with transaction.atomic():
            record_rows(Action.AUDIT_VERIFIED, actor=alice, rows=[Row("audit", 1, "", {"found": found})])

    assert said("verified") == ("none", "The history is less than three months old")
    with monkeypatch.context() as patch:
        patch.setattr(evidence, "VERIFY_AFTER", timedelta())
        assert said("verified") == ("look", "The history was not verified for three months")
    verify(0)
    assert said("verified") == ("ok", "The history was verified lately")
    verify(2)
    assert said("verified") == ("act", "The last verification found changes")
    # Somebody rewrites what was found: the event says nothing any more.
    drop(connection)
    attack("UPDATE audit_auditevent SET data = '{\"found\": 0}' WHERE action = 'audit.verified'")
    create(connection)
    assert said("verified") == ("none", "The history is less than three months old")


def test_keys_that_are_missing_or_do_not_fit(world: World, settings):
    settings.ANCHOR_KEYS = ",".join(new_keys().words())
    assert (level("keys"), level("key_ages")) == ("ok", "ok")
    for name in ("APPROVAL_KEY", "AUDIT_KEY"):
        kept = getattr(settings, name)
        setattr(settings, name, "")
        assert run_checks(["keys"])["keys"].detail == f"Missing: {name}."
        setattr(settings, name, kept)
    for words, expected in (("", "look"), ("nonsense", "act")):
        settings.ANCHOR_KEYS = words
        assert level("keys") == expected, words
    former, new = settings.CREDENTIAL_KEYS, Fernet.generate_key().decode()
    settings.CREDENTIAL_KEYS = [new, *former]
    assert said("key_ages") == ("look", "A change of CREDENTIAL_KEYS is not finished")
    settings.CREDENTIAL_KEYS = [new]
    assert said("keys") == ("act", "Stored credentials cannot be read")


def test_tables_of_another_version_and_wrong_settings(db, settings):
    assert level("migrations") == "ok"
    newer = MigrationRecorder.Migration.objects.create(app="subscriptions", name="0099_of_next_year")
    assert said("migrations") == ("act", "The code is older than the tables")
    newer.delete()
    MigrationRecorder.Migration.objects.filter(app="sign_in").delete()
    assert said("migrations") == ("act", "The tables are older than the code")
    settings.APPROVAL_KEY = "short"
    found = run_checks(["settings"])["settings"]
    assert found.level == "act" and "licensehub.E005" in str(found.steps)
    if connection.vendor == "sqlite":
        assert level("database") == "ok"
        settings.HTTPS = True
        assert said("database") == ("look", "The database is SQLite")


def test_work_that_does_not_get_on(world: World, alice, bob):
    now = database_now()
    world.first_download()
    decide.approve(request_reclaim(world.candidates(2), actor=alice), actor=bob)
    assert {
        name: level(name) for name in ("open_items", "in_doubt", "tokens", "downloads", "sending")
    } == dict.fromkeys(("open_items", "in_doubt", "tokens", "downloads", "sending"), "ok")
    Reclaim.objects.update(queued_at=now - timedelta(minutes=21))
    assert said("open_items") == ("act", "Approved seats are not sent")
    Reclaim.objects.update(hold_reason="window")
    assert level("open_items") == "ok", "what waits on purpose is not late"
    Reclaim.objects.update(state="claimed", lease_until=now - timedelta(minutes=21))
    assert level("open_items") == "act"
    for minutes, expected in ((55, "ok"), (65, "look")):
        Reclaim.objects.update(state="in_doubt", sending_at=now - timedelta(minutes=minutes))
        assert level("in_doubt") == expected
    for minutes, expected in ((25, "ok"), (35, "look")):
        Connection.objects.update(refresh_at=now - timedelta(minutes=minutes))
        assert level("tokens") == expected
    Connection.objects.update(refresh_at=None)
    for minutes, expected in ((175, "ok"), (185, "look")):
        Connection.objects.update(unanswered_since=now - timedelta(minutes=minutes))
        assert level("tokens") == expected
    assert said("tokens") == ("look", "Miro does not answer")
    DownloadRun.objects.update(finished_at=now - timedelta(days=30))
    assert said("downloads") == ("look", "The facts are old")
    for state, title in (("quarantined", "A download was quarantined"), ("failed", "A download failed")):
        DownloadRun.objects.update(state=state)
        assert said("downloads") == ("look", title)
    sending.hold("This database ends before the one that was kept.")
    assert said("sending") == ("act", "Sending is held, since this database may be a restored backup")


def test_mails_that_reach_nobody(world: World, alice, settings):
    world.first_download()
    person = request_reclaim(world.candidates(1), actor=alice).removals.get()
    assert level("mail") == "ok"
    for state in ("failed", "in_doubt"):
        mail = Notice.objects.create(removal=person, kind="ask", state=state, due_at=database_now())
        assert said("mail") == ("look", "Some people could not be asked"), state
        Notice.objects.update(due_at=database_now() - timedelta(days=2))
        assert level("mail") == "ok"
        mail.delete()
    settings.HTTPS, settings.EMAIL_BACKEND = True, "django.core.mail.backends.console.EmailBackend"
    assert said("mail") == ("act", "Mails reach nobody")


def test_webhooks_that_reach_nobody(db):
    assert said("webhooks") == ("none", "There is no webhook")
    webhook = stored_webhook(
        name="Anna's channel", error="The host answered 500.", failing_since=database_now()
    ).webhook
    assert said("webhooks") == ("look", "A webhook fails")
    webhook.state = "failed"
    webhook.save()
    finding = run_checks(["webhooks"])["webhooks"]
    assert (finding.level, finding.value) == ("look", "1 is off")
    assert finding.detail == "The host answered 500."
    assert "Anna" not in str(finding) and "canary" not in str(finding)
    webhook.state = "off"
    webhook.save()
    assert level("webhooks") == "ok"
