"""Backups and drills: what somebody recorded, how old it is, and what is not believed."""

from __future__ import annotations

import os
import time
from datetime import timedelta

import pytest
from django.core.management import CommandError, call_command
from django.db import connection

from licensehub.audit.models import AuditEvent
from licensehub.audit.triggers import create, drop
from licensehub.database.clock import database_now
from licensehub.operations.doctor.checks import backups
from licensehub.operations.doctor.findings import Context, Level
from tests.support.attacks import attack

CHECKS = {"backup": (backups.backup, backups.BACKUP_AFTER), "drill": (backups.drill, backups.DRILL_AFTER)}


@pytest.fixture
def dump(tmp_path):
    path = tmp_path / "licensehub.dump"
    path.write_bytes(b"x" * 2_500_000)
    return path


def after(monkeypatch, passed: timedelta) -> None:
    now = database_now()
    monkeypatch.setattr(backups, "database_now", lambda: now + passed)


def test_a_recorded_backup_and_drill_are_shown_with_their_day(db, dump, monkeypatch):
    call_command("record_backup", str(dump))
    call_command("record_drill", "Restored in 4 minutes")
    assert list(AuditEvent.objects.order_by("-sequence").values_list("action", "data")[:2]) == [
        ("drill.recorded", {"result": "Restored in 4 minutes"}),
        ("backup.recorded", {"bytes": 2_500_000}),
    ]
    found = backups.backup(Context())
    assert found.level == Level.OK and found.value.endswith("UTC, 2.5 MB")
    assert backups.drill(Context()).level == Level.OK


def test_a_backup_that_is_suddenly_small_is_shown(db, dump):
    """Half of a dump is a file, too. Control: without the comparison it is well."""
    call_command("record_backup", str(dump))
    dump.write_bytes(b"x" * 1_000_000)
    call_command("record_backup", str(dump))
    found = backups.backup(Context())
    assert (found.level, found.value.partition(", ")[2]) == (Level.LOOK, "1.0 MB") and found.steps
    call_command("record_backup", str(dump))
    assert backups.backup(Context()).level == Level.OK


def test_a_backup_that_was_never_made_is_never_well(db):
    """Also on the first day: the green sign made an admin of a new installation believe that there is one."""
    found = backups.backup(Context())
    assert (found.level, found.title, found.value) == (Level.LOOK, "No backup was ever recorded", "none recorded")
    assert [bool(step.command) for step in found.steps] == [False, True]


def test_a_drill_that_is_not_due_is_neither_well_nor_late(db, dump, monkeypatch):
    call_command("record_backup", str(dump))
    after(monkeypatch, backups.DRILL_AFTER - timedelta(minutes=1))
    assert (backups.drill(Context()).level, backups.drill(Context()).value) == (Level.NONE, "none recorded")
    after(monkeypatch, backups.DRILL_AFTER + timedelta(minutes=1))
    assert backups.drill(Context()).level == Level.LOOK and backups.drill(Context()).steps


@pytest.mark.parametrize("name", CHECKS)
def test_an_old_one_is_late_and_one_that_was_written_into_the_database_is_not_believed(db, dump, monkeypatch, name):
    run, limit = CHECKS[name]
    call_command("record_backup", str(dump))
    call_command("record_drill", "First")
    after(monkeypatch, limit + timedelta(minutes=1))
    assert run(Context()).level == Level.LOOK
    drop(connection)
    attack("UPDATE audit_auditevent SET at = %s WHERE action = %s", database_now() + limit, f"{name}.recorded")
    create(connection)
    assert run(Context()).level == Level.LOOK


@pytest.mark.parametrize("kind", ["missing", "empty", "old", "folder"])
def test_what_is_no_backup_of_today_is_refused(db, dump, tmp_path, kind):
    """Control: without `MAX_AGE`, the file of last week counts each night."""
    path = dump
    if kind == "missing":
        path = tmp_path / "not-there"
    if kind == "empty":
        dump.write_bytes(b"")
    if kind == "old":
        os.utime(dump, (time.time(), time.time() - 25 * 60 * 60))
    if kind == "folder":
        path = tmp_path
    with pytest.raises(CommandError):
        call_command("record_backup", str(path))
    assert not AuditEvent.objects.filter(action="backup.recorded").exists()


def test_a_drill_without_a_result_is_refused(db):
    with pytest.raises(CommandError, match="Say what was checked"):
        call_command("record_drill", " ")
