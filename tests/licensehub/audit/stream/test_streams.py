"""Each stream brings every event in order to a real receiver on the loopback, also after it was away."""

from __future__ import annotations

import hmac
import json
import os
import signal
import subprocess
import sys
import time
from datetime import timedelta

import pytest
from django.utils import timezone

from licensehub.audit.actions import Action
from licensehub.audit.findings import Problem, audit_findings
from licensehub.audit.models import AuditEvent, Destination
from licensehub.audit.stream import streams
from licensehub.audit.stream.streams import send_streams
from tests.support.anchors import act
from tests.support.servers.scripted_server import Reply
from tests.support.servers.workers import environment_for_children

KEY = "key of the receiver, known to both sides"


def sequences(lines: str) -> list[int]:
    return [json.loads(line)["metadata"]["sequence"] for line in lines.splitlines()]


def every_event() -> list[int]:
    return list(AuditEvent.objects.order_by("sequence").values_list("sequence", flat=True))


def again() -> None:
    Destination.objects.update(next_try_at=None)
    send_streams()


@pytest.fixture(autouse=True)
def small_batches(monkeypatch):
    monkeypatch.setattr(streams, "BATCH", 3)


def test_a_file_gets_all_events_and_may_be_rotated(db, settings, tmp_path):
    path = tmp_path / "audit.jsonl"
    settings.AUDIT_STREAM_FILE = str(path)
    act(7)
    send_streams()
    assert sequences(path.read_text()) == every_event()
    assert path.stat().st_mode & 0o777 == 0o600
    path.rename(tmp_path / "audit.1")
    act(2)
    send_streams()
    assert sequences(path.read_text()) == every_event()[-2:]
    path.unlink()
    path.mkdir()
    act()
    send_streams()
    assert "cannot be written" in Destination.objects.get(name="stream.file").error
    path.rmdir()
    again()
    assert sequences(path.read_text()) == every_event()[-1:]


def test_a_new_stream_may_begin_with_the_next_event(db, settings, tmp_path):
    settings.AUDIT_STREAM_FILE, settings.AUDIT_STREAM_FROM = str(tmp_path / "audit.jsonl"), "now"
    act(3)
    send_streams()
    act()
    send_streams()
    assert sequences((tmp_path / "audit.jsonl").read_text()) == every_event()[-1:]


def test_the_standard_output_is_that_of_the_process(db, settings, capfd, monkeypatch):
    settings.AUDIT_STREAM_STDOUT = True
    monkeypatch.setattr(sys, "stdout", None)  # as Celery does with its log
    monkeypatch.setattr(sys, "__stdout__", os.fdopen(os.dup(1), "w"))
    act(2)
    send_streams()
    assert sequences(capfd.readouterr().out) == every_event()
    sys.__stdout__.close()


def test_a_batch_over_https_is_signed_over_its_time_and_body(db, settings, receiver):
    settings.AUDIT_STREAM_HTTPS_URL, settings.AUDIT_STREAM_HTTPS_KEY = f"{receiver.url}/audit", KEY
    act(7)
    send_streams()
    assert len(receiver.seen) == 3
    assert sequences("".join(seen.body.decode() for seen in receiver.seen)) == every_event()
    for seen in receiver.seen:
        moment = seen.headers["LicenseHub-Time"]
        assert abs(int(moment) - time.time()) < 60
        expected = hmac.digest(KEY.encode(), moment.encode() + b"." + seen.body, "sha256").hex()
        assert seen.headers["LicenseHub-Signature"] == f"sha256={expected}"


def test_a_receiver_that_was_away_gets_what_it_has_missed(db, settings, receiver, monkeypatch):
    settings.AUDIT_STREAM_HTTPS_URL, settings.AUDIT_STREAM_HTTPS_KEY = receiver.url, KEY
    old = timezone.now() - timedelta(hours=1)
    receiver.replies = [Reply(200), Reply(manner="cut")]
    with monkeypatch.context() as earlier:
        earlier.setattr("django.utils.timezone.now", lambda: old)
        act(7)
    send_streams()
    (finding,) = [one for one in audit_findings() if one.problem == Problem.STREAM_BEHIND]
    assert (finding.destination, finding.since) == ("stream.https", old)
    assert "ConnectionError" in finding.detail and receiver.url not in finding.detail
    receiver.replies = [Reply(200)]
    receiver.seen.pop(), act()
    again()
    assert sequences("".join(seen.body.decode() for seen in receiver.seen)) == every_event()
    assert [one for one in audit_findings() if one.problem == Problem.STREAM_BEHIND] == []


CRASHING = """
import os, django
django.setup()
from licensehub.audit.stream import streams
from django.db.models import QuerySet
from licensehub.audit.models import Destination
streams.BATCH = 3
update = QuerySet.update
def killed_at_the_second_batch(self, **values):
    if self.model is Destination and values.get("position") == 6:
        os.kill(os.getpid(), 9)
    return update(self, **values)
QuerySet.update = killed_at_the_second_batch
streams.send_streams()
"""


def test_a_worker_that_is_killed_between_send_and_position_loses_nothing(real_transactions, settings, tmp_path):
    path = tmp_path / "audit.jsonl"
    act(10)
    environment = environment_for_children(AUDIT_STREAM_FILE=str(path))
    done = subprocess.run([sys.executable, "-c", CRASHING], env=environment, capture_output=True, check=False)
    assert done.returncode == -signal.SIGKILL, done.stderr
    assert sequences(path.read_text()) == [1, 2, 3, 4, 5, 6]
    assert Destination.objects.get().position == 3
    settings.AUDIT_STREAM_FILE = str(path)
    send_streams()
    assert sequences(path.read_text()) == [1, 2, 3, 4, 5, 6], "the lease of the killed one"
    Destination.objects.update(lease_until=timezone.now() - timedelta(seconds=1))
    send_streams()
    assert sequences(path.read_text()) == [1, 2, 3, 4, 5, 6, 4, 5, 6, 7, 8, 9, 10]
    uids = [json.loads(line)["metadata"]["uid"] for line in path.read_text().splitlines()]
    assert len(set(uids)) == 10, "a receiver knows the repeated ones by their uid"


def test_an_approval_is_in_the_stream_once(real_transactions, settings, tmp_path):
    settings.AUDIT_STREAM_FILE = str(tmp_path / "audit.jsonl")
    act(action=Action.REQUEST_APPROVED)
    for _ in range(3):
        send_streams()
    assert len(sequences((tmp_path / "audit.jsonl").read_text())) == 1
