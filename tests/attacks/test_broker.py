"""Somebody who can write to the broker starts nothing, acts in nobody's name, and ends no worker."""

from __future__ import annotations

import base64
import json
import time
import uuid

import pytest
from celery import current_app

from integrations.models import IntegrationProfile
from licensehub.audit.actions import Action
from licensehub.audit.models import AuditEvent
from licensehub.broker import dropped, signatures
from subscriptions import tasks
from subscriptions.models import DownloadRun, ReclaimRule
from subscriptions.models.download import StartedBy
from subscriptions.profiles import lifecycle
from subscriptions.reconciliation import reconcile
from tests.support.servers import WorkerProcess, start_worker

pytestmark = pytest.mark.worker
QUEUE = "download"
PATIENCE = 30


@pytest.fixture(autouse=True)
def nothing_counted(monkeypatch):
    monkeypatch.setattr(dropped._Counted, "reasons", dropped.Counter())
    monkeypatch.setattr(dropped._Counted, "reported_at", None)


def message(task: str, *args: object) -> dict[str, object]:
    """A message as Celery makes it (protocol 2), without a signature."""
    one = str(uuid.uuid4())
    body = json.dumps([list(args), {}, {"callbacks": None, "errbacks": None, "chain": None, "chord": None}])
    return {
        "body": base64.b64encode(body.encode()).decode(),
        "content-encoding": "utf-8",
        "content-type": "application/json",
        "headers": {"lang": "py", "task": task, "id": one, "root_id": one, "retries": 0, "timelimit": [None, None]},
        "properties": {
            "correlation_id": one,
            "reply_to": one,
            "delivery_mode": 2,
            "delivery_info": {"exchange": "", "routing_key": QUEUE},
            "priority": 0,
            "body_encoding": "base64",
            "delivery_tag": one,
        },
    }


def unreadable() -> list[bytes]:
    """Messages that are no JSON, no message, or a message that kombu cannot read."""
    shape = message(tasks.thin_history.name)
    others: list[object] = [
        {},
        {**shape, "properties": {}},
        {**shape, "properties": None},
        {**shape, "body": "no base64!"},
        [],
        None,
    ]
    bad_pickle = {**shape, "content-type": "application/x-python-serialize"}
    typed = [b'{"__type__": "decimal", "__value__": "x"}', b'{"__type__": "uuid"}']
    return [
        b"",
        b"no JSON",
        b"\xff\xfe",
        b"[" * 10000,
        *typed,
        *(json.dumps(one).encode() for one in [*others, bad_pickle]),
    ]


def forged(profile: IntegrationProfile, user_id: int) -> list[dict[str, object]]:
    """The tasks that once took who acts, and one whose signature was made with another key."""
    name = tasks.reconcile_ledger.name
    return [
        message(name, profile.pk, user_id),
        message(tasks.download_due.name, profile.pk, user_id),
        message(tasks.download_due.name, profile.pk),
        {**message(name, profile.pk), "signature": "0" * 64},
        {**message(name, profile.pk), "signature": None},
    ]


def wait_until(condition, worker: WorkerProcess) -> None:
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert worker.process.poll() is None, worker.log.read_text(errors="replace")[-3000:]
        assert time.monotonic() < deadline, worker.log.read_text(errors="replace")[-3000:]
        time.sleep(0.1)


@pytest.fixture
def one_profile(real_transactions) -> IntegrationProfile:
    """A profile for which each of our tasks says what it did in the audit."""
    profile = lifecycle.create_profile(name="Northwind", organization_id="1", kind="miro_enterprise", actor=None)
    ReclaimRule.objects.create(profile=profile, licenses=["full"])
    return profile


def test_a_worker_survives_what_is_no_message_and_starts_nothing_forged(
    one_profile, alice, valkey, celery_worker_process
):
    IntegrationProfile.objects.update(state="published")
    worker = celery_worker_process()
    before = AuditEvent.objects.count()
    bad = [*unreadable(), *(json.dumps(one).encode() for one in forged(one_profile, alice.pk))]
    for raw in bad:
        valkey.lpush(QUEUE, raw)
    # A message that was delivered and not acknowledged lies elsewhere.
    valkey.hset("unacked", "x", json.dumps([message(tasks.reconcile_ledger.name, one_profile.pk), "", QUEUE]))
    valkey.zadd("unacked_index", {"x": 1})
    wait_until(lambda: not valkey.llen(QUEUE), worker)
    # The worker takes the next task of ours.
    IntegrationProfile.objects.update(reconcile_due_by=alice)
    assert tasks.enqueue_task(tasks.reconcile_ledger, one_profile.pk)
    done = AuditEvent.objects.filter(action=Action.LEDGER_RECONCILED)
    wait_until(done.exists, worker)
    assert [event.actor_id for event in done] == [alice.pk]
    worker.stop()
    events = AuditEvent.objects.filter(action=Action.MESSAGES_DROPPED)
    assert sum(event.data["count"] for event in events) >= len(bad)
    assert events.count() <= 2, "a flood of messages must not become a flood of events"
    assert dropped.dropped_lately() >= len(bad)
    assert not AuditEvent.objects.filter(action=Action.DOWNLOAD_STARTED).exists()
    assert AuditEvent.objects.count() == before + 1 + events.count()
    assert not done.exclude(actor_id=alice.pk).exists()


def test_control_without_signatures_a_forged_message_starts_a_task(one_profile, settings, valkey, tmp_path):
    """The worker of a kombu that signs nothing: it believes everybody, and one message that is no JSON ends it."""
    code = (
        "from kombu.transport import TRANSPORT_ALIASES",
        "from licensehub.celery import app",
        "TRANSPORT_ALIASES['redis'] = 'kombu.transport.redis:Transport'",
    )
    (tmp_path / "plain_app.py").write_text("\n".join(code))
    worker = start_worker(tmp_path / "worker.log", app="plain_app", PYTHONPATH=f"{tmp_path}:{settings.BASE_DIR}")
    try:
        worker.wait_until_ready()
        valkey.lpush(QUEUE, json.dumps(message(tasks.reconcile_ledger.name, one_profile.pk)))
        wait_until(AuditEvent.objects.filter(action=Action.LEDGER_RECONCILED).exists, worker)
        valkey.lpush(QUEUE, b"no JSON")
        worker.process.wait(timeout=PATIENCE)
        assert worker.process.returncode != 0
    finally:
        worker.kill()


def test_each_part_of_a_message_is_signed_and_a_redelivery_stays_valid():
    whole = signatures.signed(message(tasks.thin_history.name, 1))
    assert signatures.is_signed(whole)
    again = json.loads(json.dumps(whole))
    again["headers"]["redelivered"] = again["properties"]["delivery_info"]["redelivered"] = True
    assert signatures.is_signed(again)
    changes = [
        {"body": "x"},
        {"content-type": "application/x-python-serialize"},
        {"content-encoding": "binary"},
        {"headers": {**whole["headers"], "task": "subscriptions.tasks.reclaim"}},
        {"properties": {**whole["properties"], "body_encoding": "x"}},
        {"signature": ""},
        {"signature": "ä"},
        {"headers": 5},
    ]
    for change in changes:
        assert not signatures.is_signed({**whole, **change}), change


def test_another_key_signs_nothing_for_us(settings):
    whole = signatures.signed(message(tasks.thin_history.name))
    settings.BROKER_KEY = "another key of another installation, which is long"
    assert not signatures.is_signed(whole)


def test_no_task_of_ours_takes_who_acts_and_nobody_controls_a_worker():
    ours = [task for name, task in current_app.tasks.items() if name.split(".")[0] != "celery"]
    assert len(ours) > 10
    for task in ours:
        names = set(task.run.__code__.co_varnames[: task.run.__code__.co_argcount])
        assert not {name for name in names if "user" in name or "actor" in name}, task.name
    assert current_app.conf.worker_enable_remote_control is False
    assert set(current_app.conf.accept_content) == {"json"}


def test_who_acts_is_read_from_the_row(world, alice, workers_called):
    lifecycle.make_download_due(world.profile, actor=alice)
    tasks.download_due(world.profile.pk)
    run = DownloadRun.objects.get()
    assert (run.started_by, run.started_by_name) == (StartedBy.PERSON, "alice")
    # It counts once.
    assert IntegrationProfile.objects.get().download_due_by is None
    reconcile.request_by(world.profile, actor=alice)
    for _ in range(2):
        tasks.reconcile_ledger(world.profile.pk)
    actors = AuditEvent.objects.filter(action=Action.LEDGER_RECONCILED).order_by("sequence")
    assert list(actors.values_list("actor_id", flat=True)) == [alice.pk, None]
