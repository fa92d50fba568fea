"""Anchors are written when there is something new, at once after an approval, and into a file that only grows."""

from __future__ import annotations

import fcntl
import multiprocessing
from dataclasses import replace

import pytest
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext

from licensehub.audit.actions import Action
from licensehub.audit.anchors import anchor_file, write
from licensehub.audit.anchors.anchor import Anchor
from licensehub.audit.anchors.anchor_file import AnchorFile
from licensehub.audit.anchors.keys import current_keys, new_keys
from licensehub.audit.anchors.write import anchors_read_back, register_instance_id, send_anchors, write_anchor
from licensehub.audit.chain.checkpoint import checkpoint_of_database
from licensehub.audit.models import AuditEvent, Destination, StoredAnchor
from tests.support.anchors import act


def test_an_anchor_is_signed_over_all_that_it_says(anchoring, settings, monkeypatch):
    monkeypatch.setattr(write, "_instance_id", [])
    register_instance_id(lambda: "installation-1")
    act(3)
    anchor = write_anchor()
    head = checkpoint_of_database()
    assert (anchor.sequence, anchor.hash, anchor.count) == (head.sequence, head.hash, AuditEvent.objects.count())
    assert anchor.instance == "installation-1"
    keys = current_keys()
    assert anchor.is_genuine(keys)
    assert Anchor.from_text(anchor.text(), where="") == anchor
    for change in (
        {"sequence": 1},
        {"hash": "f" * 64},
        {"count": 9},
        {"instance": "other"},
        {"at": anchor.at.replace(year=2020)},
        {"key_id": "0" * 16},
        {"signature": "AAAA"},
        {"signature": "é"},
        {"instance": "\ud800"},
    ):
        assert not replace(anchor, **change).is_genuine(keys), change
    settings.ANCHOR_KEYS = ",".join(new_keys(keys).words())
    assert anchor.is_genuine(current_keys()), "a rotation leaves the older anchors valid"
    settings.ANCHOR_KEYS = ",".join(new_keys().words())
    assert not anchor.is_genuine(current_keys())


def test_there_is_one_anchor_for_each_new_end_of_the_chain(anchoring, settings):
    assert write_anchor() is None, "nothing happened yet"
    first = anchoring.anchor()
    assert write_anchor() is None
    StoredAnchor.objects.create(
        sequence=first.sequence + 1, hash="f" * 64, at=first.at, count=1, instance="", key_id="x", signature="forged"
    )
    act()
    assert write_anchor(), "a row that nobody has signed hides nothing"
    send_anchors()
    assert [anchor.sequence for anchor in anchoring.in_file()] == [first.sequence, first.sequence + 1]
    assert {found.where for found in anchors_read_back()} == {"the database", "the file anchors.jsonl"}
    settings.ANCHOR_KEYS = "nonsense"
    act()
    assert write_anchor() is None, "and no error for the one who acts"


def test_an_approval_is_anchored_right_after_its_commit(real_transactions, anchoring):
    act()
    assert anchoring.in_file() == []
    with pytest.raises(RuntimeError), transaction.atomic():
        act(action=Action.REQUEST_APPROVED)
        raise RuntimeError
    assert anchoring.in_file() == [], "nothing of it was committed"
    act(action=Action.REQUEST_APPROVED)
    assert [anchor.sequence for anchor in anchoring.in_file()] == [AuditEvent.objects.count()]


def test_an_approval_counts_the_new_events_only_and_waits_for_no_other_process(
    real_transactions, anchoring, monkeypatch
):
    act(5)
    assert write_anchor().count == 5
    send_anchors()
    act(2)
    with anchoring.file.open() as held, CaptureQueriesContext(connection) as queries:
        fcntl.flock(held, fcntl.LOCK_EX)
        act(action=Action.REQUEST_APPROVED)
        counted = [one["sql"] for one in queries if "COUNT(" in one["sql"] and "audit_auditevent" in one["sql"]]
        assert len(counted) == 1 and '"sequence" > 5' in counted[0]
        assert StoredAnchor.objects.order_by("-pk").first().count == 8
        # It is no failure: the task of the next minute sends it, and waits for a while.
        row = Destination.objects.get(name="anchor.file")
        assert (row.failures, row.token, len(anchoring.in_file())) == (0, None, 1)
        monkeypatch.setattr(anchor_file, "LOCK_SECONDS", 0.1)
        send_anchors()
        row.refresh_from_db()
        assert row.failures == 1 and "holds the lock" in row.error
    Destination.objects.update(next_try_at=None)
    send_anchors()
    assert [anchor.count for anchor in anchoring.in_file()] == [5, 8]


def test_an_approval_does_not_notice_a_file_that_cannot_be_written(real_transactions, anchoring, settings, tmp_path):
    (tmp_path / "occupied").write_text("")
    settings.ANCHOR_FILE = tmp_path / "occupied" / "anchors.jsonl"
    act(action=Action.REQUEST_APPROVED)
    row = Destination.objects.get(name="anchor.file")
    assert (row.position, row.failures) == (StoredAnchor.objects.get().pk - 1, 1)
    assert "cannot be written" in row.error
    settings.ANCHOR_FILE = anchoring.file
    Destination.objects.update(next_try_at=None)
    send_anchors()
    assert len(anchoring.in_file()) == 1
    row.refresh_from_db()
    assert (row.failures, row.error, row.failing_since) == (0, "", None)


def _append(path, anchor):
    for _ in range(40):
        AnchorFile(path).take(anchor)


def test_the_file_only_grows_and_survives_a_torn_line(anchoring, tmp_path):
    anchor = anchoring.anchor()
    assert anchoring.file.stat().st_mode & 0o777 == 0o600
    whole = anchoring.file.read_bytes()
    anchoring.file.write_bytes(whole + whole[:40])
    AnchorFile().take(anchor)
    content = AnchorFile().read()
    assert (content.anchors[0].sequence, len(content.anchors), content.damaged) == (anchor.sequence, 2, 1)

    many = tmp_path / "many.jsonl"
    made = [multiprocessing.get_context("fork").Process(target=_append, args=(many, anchor)) for _ in range(3)]
    for process in made:
        process.start()
    for process in made:
        process.join()
    content = AnchorFile(many).read()
    assert (len(content.anchors), content.damaged) == (120, 0)


def test_nothing_is_sent_from_inside_of_a_transaction(anchoring):
    with pytest.raises(RuntimeError, match="inside of a transaction"), transaction.atomic():
        send_anchors()
