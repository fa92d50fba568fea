"""The checkpoint outside of the database: it only rises, is whole, private and cheap, and stops no action."""

from __future__ import annotations

import json
import multiprocessing
import os
import random
import socket
import statistics
import time
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from django.db import transaction

from integrations import sending
from licensehub.audit.actions import Action
from licensehub.audit.chain import checkpoint
from licensehub.audit.chain.checkpoint import (
    Checkpoint,
    CheckpointFile,
    CheckpointKey,
    LocationUnavailable,
    checkpoint_of_database,
    find_mismatch,
)
from licensehub.audit.chain.offline_verifier import EMPTY
from licensehub.audit.log import record
from licensehub.audit.models import AuditEvent

NOW = datetime(2026, 11, 24, 21, 0, tzinfo=UTC)


def numbered(sequence: int, mark: str = "a") -> Checkpoint:
    return Checkpoint(sequence, mark * 64, NOW + timedelta(seconds=sequence))


def act(times: int = 1) -> None:
    """One commit with so many actions."""
    with transaction.atomic():
        for number in range(times):
            record(Action.PROFILE_CHANGED, actor=None, target=sending.control(), data={"n": number})


# --- The two locations ------------------------------------------------------------------------------------------------


@pytest.fixture(params=["file", "redis"])
def location(request, tmp_path):
    if request.param == "file":
        return CheckpointFile(tmp_path / "var" / "head.json")
    request.getfixturevalue("valkey")
    from django.conf import settings

    return CheckpointKey(settings.REDIS_URL)


def test_a_kept_checkpoint_is_read_again(location):
    assert location.read() is None
    location.keep(numbered(3), instead_of=None)
    assert location.read() == numbered(3)


def test_a_lower_checkpoint_never_replaces_a_higher_one(location):
    location.keep(numbered(5), instead_of=None)
    location.keep(numbered(4), instead_of=None)
    location.keep(numbered(5, "b"), instead_of=None)
    assert location.read() == numbered(5)
    location.keep(numbered(6), instead_of=None)
    assert location.read() == numbered(6)


def test_only_the_checkpoint_that_was_checked_is_replaced_by_a_lower_one(location):
    location.keep(numbered(5), instead_of=None)
    location.keep(numbered(2, "c"), instead_of=numbered(9))
    assert location.read() == numbered(5)
    location.keep(numbered(2, "c"), instead_of=numbered(5))
    assert location.read() == numbered(2, "c")


def test_a_damaged_checkpoint_is_ignored_and_replaced(tmp_path, caplog):
    path = tmp_path / "head.json"
    for broken in ("", "{", "[]", '{"sequence": 1}', '{"sequence": null, "hash": "", "at": ""}'):
        path.write_text(broken)
        assert CheckpointFile(path).read() is None
        assert "damaged" in caplog.text
        CheckpointFile(path).keep(numbered(1), instead_of=None)
        assert CheckpointFile(path).read() == numbered(1)


def test_a_file_of_another_user_can_neither_stop_nor_confuse_this_process(tmp_path, caplog):
    """A process that was taken over may write anything there."""
    path, good = tmp_path / "head.json", json.loads(numbered(1).as_text())
    strange = (
        {"at": "2026-11-24T21:00:00"},
        {"hash": "a\0b"},
        {"sequence": 2**63},
        {"sequence": -1},
        {"sequence": 1e999},
    )
    for text in [json.dumps({**good, **part}) for part in strange] + ["[" * 5000]:
        path.write_text(text)
        assert CheckpointFile(path).read() is None, text[:80]
        assert "damaged" in caplog.text
        caplog.clear()
    path.unlink()
    os.mkfifo(path)
    assert CheckpointFile(path).read() is None, "nobody writes into the pipe, and nobody waits for it"
    writer = os.open(path, os.O_RDWR)
    with pytest.raises(LocationUnavailable):
        CheckpointFile(path).read()
    os.close(writer)


def test_damage_in_redis(valkey, settings):
    for broken in ("{", "[]", "7", '{"sequence": "x"}'):
        valkey.set(checkpoint.KEY, broken)
        location = CheckpointKey(settings.REDIS_URL)
        assert location.read() is None
        location.keep(numbered(1), instead_of=None)
        assert location.read() == numbered(1)


def test_the_file_is_private_and_leaves_no_other_file(tmp_path):
    CheckpointFile(tmp_path / "head.json").keep(numbered(1), instead_of=None)
    assert (tmp_path / "head.json").stat().st_mode & 0o777 == 0o600
    assert sorted(path.name for path in tmp_path.iterdir()) == ["head.json", "head.lock"]


def _keep_some(path: Path, seed: int) -> None:
    numbers = list(range(1, 201))
    random.Random(seed).shuffle(numbers)  # noqa: S311 - no secret
    for number in [*numbers[:60], 200]:
        CheckpointFile(path).keep(numbered(number), instead_of=None)


def test_many_processes_keep_the_highest(tmp_path):
    path = tmp_path / "head.json"
    made = [multiprocessing.get_context("fork").Process(target=_keep_some, args=(path, seed)) for seed in range(6)]
    for process in made:
        process.start()
    seen = 0
    while any(process.is_alive() for process in made):
        found = CheckpointFile(path).read()
        if found:
            assert found.sequence >= seen
            seen = found.sequence
    assert [process.exitcode for process in made] == [0] * 6
    assert CheckpointFile(path).read().sequence == 200


def test_a_dead_broker_costs_little_and_is_left_alone(tmp_path):
    location = CheckpointKey(f"unix://{tmp_path}/nobody.sock")
    with pytest.raises(LocationUnavailable, match="not reachable"):
        location.read()
    with socket.socket(socket.AF_UNIX) as back:
        back.bind(str(tmp_path / "nobody.sock"))
        back.listen()
        for _ in range(1000):
            with pytest.raises(LocationUnavailable, match=r"^$"):
                location.keep(numbered(1), instead_of=None)
        assert accepted(back) == 0


def test_a_hanging_broker_is_waited_for_once(tmp_path):
    with socket.socket(socket.AF_UNIX) as silent:
        silent.bind(str(tmp_path / "silent.sock"))
        silent.listen()
        location = CheckpointKey(f"unix://{tmp_path}/silent.sock")
        for _ in range(20):
            with pytest.raises(LocationUnavailable):
                location.read()
        assert accepted(silent) == 1


def accepted(listener: socket.socket) -> int:
    """The number of connections that were made to it."""
    listener.setblocking(False)
    number = 0
    with suppress(BlockingIOError):
        while True:
            listener.accept()[0].close()
            number += 1
    return number


# --- After a commit ---------------------------------------------------------------------------------------------------


@pytest.fixture
def writes(monkeypatch) -> list[Checkpoint]:
    found: list[Checkpoint] = []
    keep = CheckpointFile.keep

    def counted(self, new, *, instead_of):
        found.append(new)
        keep(self, new, instead_of=instead_of)

    monkeypatch.setattr(CheckpointFile, "keep", counted)
    return found


def test_each_commit_is_kept_once(real_transactions, head_file, writes):
    act(times=7)
    assert [found.sequence for found in writes] == [AuditEvent.objects.count()]
    assert CheckpointFile(head_file).read() == checkpoint_of_database()
    act()
    assert len(writes) == 2


def test_it_is_in_both_locations(real_transactions, head_file, valkey):
    act()
    text = valkey.get(checkpoint.KEY).decode()
    assert Checkpoint.from_text(text) == checkpoint_of_database() == CheckpointFile(head_file).read()
    assert json.loads(text)["sequence"] == AuditEvent.objects.count()


def test_a_rolled_back_event_is_never_kept(real_transactions, head_file, writes):
    with pytest.raises(RuntimeError), transaction.atomic():
        record(Action.PROFILE_CHANGED, actor=None, target=sending.control())
        raise RuntimeError
    with transaction.atomic():
        record(Action.PROFILE_CHANGED, actor=None, target=sending.control())
        with pytest.raises(RuntimeError), transaction.atomic():
            record(Action.PROFILE_CHANGED, actor=None, target=sending.control())
            raise RuntimeError
    assert len(writes) == 1
    assert find_mismatch() is None


def test_a_location_that_cannot_be_written_stops_no_action(real_transactions, settings, tmp_path, caplog):
    (tmp_path / "occupied").write_text("")
    settings.AUDIT_HEAD_FILE = tmp_path / "occupied" / "head.json"
    act()
    assert AuditEvent.objects.exists()
    assert "was not written: the file head.json cannot be" in caplog.text


def test_the_cost_of_one_commit(real_transactions, head_file, valkey):
    act()
    spent = []
    for _ in range(50):
        checkpoint._Last.kept = None
        start = time.perf_counter()
        checkpoint._keep_once()
        spent.append(time.perf_counter() - start)
    assert statistics.median(spent) < 0.05, "seconds, on the slowest machine"


# --- The comparison ---------------------------------------------------------------------------------------------------


def test_a_new_installation(db, head_file, broker_away):
    assert find_mismatch() == checkpoint.Mismatch(nothing_kept=True, unsure=True)
    CheckpointFile(head_file).keep(Checkpoint(0, EMPTY, None), instead_of=None)
    assert find_mismatch() is None


def test_a_location_that_is_behind_is_normal(real_transactions, head_file):
    act()
    early = CheckpointFile(head_file).read()
    act()
    head_file.unlink()
    CheckpointFile(head_file).keep(early, instead_of=None)
    assert find_mismatch() is None


def test_a_database_that_is_behind(db, head_file):
    CheckpointFile(head_file).keep(numbered(9000), instead_of=None)
    found = find_mismatch()
    assert "the file audit-head.json knows is #9000 of 2026-11-24 23:30:00 UTC; this database ends with #0" in (
        found.sentence
    )


def test_the_files_of_the_other_users_of_the_host_are_compared_and_never_written(
    real_transactions, settings, tmp_path, broker_away
):
    web, worker = (tmp_path / name / "audit-head.json" for name in ("web", "worker"))
    settings.AUDIT_HEAD_FILES = str(tmp_path / "*" / "audit-head.json")
    settings.AUDIT_HEAD_FILE = worker
    act()
    assert (worker.stat().st_mode & 0o777, worker.parent.joinpath("audit-head.lock").exists()) == (0o640, True)
    settings.AUDIT_HEAD_FILE = web
    act(times=2)
    # Only web has written since. A worker that has a backup from before finds out, also while the broker is away.
    assert CheckpointFile(worker).read().sequence < CheckpointFile(web).read().sequence
    settings.AUDIT_HEAD_FILE = worker
    assert find_mismatch() is None
    CheckpointFile(web).keep(numbered(9000), instead_of=None)
    assert "#9000" in find_mismatch().sentence
    # A release names it, so it is not held again for it.
    sending.hold("It looks like a restored backup.")
    sending.release(actor=None, checked="Looked at everything.")
    assert CheckpointFile(web).read() == numbered(9000)
    assert find_mismatch() is None
    # Control: without the pattern, nobody looks there.
    settings.AUDIT_HEAD_FILES = ""
    assert len(checkpoint.locations()) == 2


def test_another_history_is_not_hidden(real_transactions, head_file):
    act(times=3)
    other = Checkpoint(AuditEvent.objects.count(), "f" * 64, datetime.now(UTC))
    head_file.unlink()
    CheckpointFile(head_file).keep(other, instead_of=None)
    act(times=5)
    assert CheckpointFile(head_file).read() == other, "kept, though the database has grown past it"
    assert "is another one in this database" in find_mismatch().sentence


def test_a_release_replaces_the_older_checkpoints_of_every_host(real_transactions, head_file, tmp_path, settings):
    act(times=3)
    CheckpointFile(head_file).keep(Checkpoint(9000, "f" * 64, datetime.now(UTC)), instead_of=None)
    elsewhere = tmp_path / "elsewhere.json"
    elsewhere.write_text(head_file.read_text())
    sending.hold("It looks like a restored backup.")
    sending.release(actor=None, checked="Looked at everything.")
    assert CheckpointFile(head_file).read() == checkpoint_of_database()
    settings.AUDIT_HEAD_FILE = elsewhere
    assert find_mismatch() is None
    act()
    assert CheckpointFile(elsewhere).read() == checkpoint_of_database()


def test_a_release_does_not_count_for_later_checkpoints(real_transactions, head_file):
    sending.hold("It looks like a restored backup.")
    sending.release(actor=None, checked="Looked at everything.")
    later = Checkpoint(9000, "f" * 64, datetime.now(UTC) + timedelta(seconds=1))
    CheckpointFile(head_file).keep(later, instead_of=None)
    assert find_mismatch() is not None
