"""Somebody who can write to the broker starts nothing, acts in nobody's name, and ends no worker."""

from __future__ import annotations

import base64
import inspect
import json
import time
import uuid
from datetime import UTC, datetime

import pytest
from celery import current_app
from django.utils import timezone

from integrations.models import IntegrationProfile
from licensehub.audit.actions import Action
from licensehub.audit.models import AuditEvent
from licensehub.broker import dropped, signatures
from subscriptions import tasks
from subscriptions.approvals import decide
from subscriptions.approvals.request import request_reclaim
from subscriptions.models import (
    DownloadRun,
    EvidencePack,
    EvidencePackPart,
    NotificationMail,
    Reclaim,
    ReclaimRequest,
    ReclaimRule,
    Reconciliation,
)
from subscriptions.models.download import StartedBy
from subscriptions.profiles import lifecycle
from subscriptions.reconciliation import reconcile
from tests.support.servers.workers import WorkerProcess, start_worker

pytestmark = pytest.mark.worker
QUEUE = "download"
MAX_WAIT = 30


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
    deadline = time.monotonic() + MAX_WAIT
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
        worker.process.wait(timeout=MAX_WAIT)
        assert worker.process.returncode != 0
    finally:
        worker.kill()


def test_each_part_of_a_message_is_signed_and_a_redelivery_stays_valid():
    whole = signatures.signed(message(tasks.thin_history.name, 1))
    assert signatures.why_dropped(whole) == ""
    again = json.loads(json.dumps(whole))
    again["headers"]["redelivered"] = again["properties"]["delivery_info"]["redelivered"] = True
    assert signatures.why_dropped(again) == ""
    changes = [
        {"body": "x"},
        {"content-type": "application/x-python-serialize"},
        {"content-encoding": "binary"},
        {"headers": {**whole["headers"], "task": "subscriptions.tasks.reclaim"}},
        {"properties": {**whole["properties"], "body_encoding": "x"}},
        {"signature": ""},
        {"signature": "ä"},
        {"made_at": whole["made_at"] + 1},
        {"headers": 5},
    ]
    for change in changes:
        assert signatures.why_dropped({**whole, **change}) == "unsigned", change


def test_another_key_signs_nothing_for_us(settings):
    whole = signatures.signed(message(tasks.thin_history.name))
    settings.BROKER_KEY = "another key of another installation, which is long"
    assert signatures.why_dropped(whole) == "unsigned"


def test_a_message_is_valid_for_an_hour_and_one_for_later_for_an_hour_from_then(monkeypatch):
    now = time.time()

    def why(passed: float, whole: dict[str, object]) -> str:
        monkeypatch.setattr(signatures.time, "time", lambda: now + passed)
        return signatures.why_dropped(whole)

    whole = signatures.signed(message(tasks.thin_history.name))
    assert [why(passed, whole) for passed in (-3500, 0, 3500, 3700, 86_400, -3700)] == ["", "", "", "old", "old", "old"]
    monkeypatch.setattr(signatures.time, "time", lambda: now)
    later = message(tasks.thin_history.name)
    later["headers"]["eta"] = datetime.fromtimestamp(now + 7200, UTC).isoformat()
    later = signatures.signed(later)
    assert [why(passed, later) for passed in (7200 - 3500, 7200, 7200 + 3500, 7200 + 3700)] == ["", "", "", "old"]


def test_a_message_that_was_recorded_is_dropped_later_and_starts_nothing_twice_before(
    one_profile, alice, valkey, celery_worker_process, monkeypatch
):
    """Controls: without the age the first message is taken, and without `is_due` each copy reconciles once more."""
    IntegrationProfile.objects.update(state="published", reconcile_due_by=alice)
    with monkeypatch.context() as an_hour_ago:
        then = time.time() - signatures.MAX_AGE_SECONDS - 10
        an_hour_ago.setattr(signatures.time, "time", lambda: then)
        assert tasks.enqueue_task(tasks.reconcile_ledger, one_profile.pk)
    recorded = valkey.lindex(QUEUE, 0)
    # Where a message lies that a worker took, and that comes back if the worker dies.
    valkey.hset("unacked", "x", json.dumps([json.loads(recorded), "", QUEUE]))
    valkey.zadd("unacked_index", {"x": 1})
    worker = celery_worker_process()
    wait_until(lambda: not valkey.llen(QUEUE) and not valkey.hlen("unacked"), worker)
    done = AuditEvent.objects.filter(action=Action.LEDGER_RECONCILED)
    assert not done.exists() and not Reconciliation.objects.exists()
    # A young one is taken, and each copy of it finds nothing to do.
    assert tasks.enqueue_task(tasks.reconcile_ledger, one_profile.pk)
    wait_until(done.exists, worker)
    copies = [json.dumps(signatures.signed(message(tasks.reconcile_ledger.name, one_profile.pk))) for _ in range(5)]
    valkey.lpush(QUEUE, *copies, *copies)
    wait_until(lambda: not valkey.llen(QUEUE) and not valkey.hlen("unacked"), worker)
    worker.stop()
    assert done.count() == Reconciliation.objects.count() == 1
    counted = [event.data for event in AuditEvent.objects.filter(action=Action.MESSAGES_DROPPED)]
    assert sum(data["old"] for data in counted) == 2
    # After an outage they are our own, so admins are not alarmed.
    assert dropped.dropped_lately() == 0


def test_each_task_that_comes_twice_does_nothing_more(world, alice, bob, carol, monkeypatch, mailoutbox):
    """A message may be copied within the hour. What LicenseHub does is decided by its rows."""
    waiting: list[tuple[object, tuple[int, ...]]] = []
    for module in (tasks, "subscriptions.admin.widgets.actions"):
        target = module if isinstance(module, str) else module.__name__
        monkeypatch.setattr(f"{target}.enqueue_task", lambda task, *ids: waiting.append((task, ids)) or True)
    # The checks of the doctor ask addresses outside, and keep their own results only.
    monkeypatch.setattr("licensehub.operations.results.run_checks", lambda names, memory: {})
    world.first_download()
    request = request_reclaim(world.candidates(2), actor=alice, reason="True-up")
    decide.approve(request, actor=bob)
    reconcile.request_by(world.profile, actor=alice)
    lifecycle.make_download_due(world.profile, actor=alice)
    pack = EvidencePack.objects.create(asked_by=carol, language="en", request=request)
    ids = {"follow_up": DownloadRun.objects.latest("pk").pk, "make_evidence_pack": pack.pk}
    ours = sorted((task for name, task in current_app.tasks.items() if name.split(".")[0] != "celery"), key=str)

    def each_once() -> tuple[object, ...]:
        for task in ours:
            takes = len(inspect.signature(task.run).parameters)
            task(*[ids.get(task.__name__, world.profile.pk)] * takes)
        while waiting:
            task, arguments = waiting.pop()
            task(*arguments)
        events = AuditEvent.objects.values_list("sequence", "action")
        return world.miro.truth()["transitions"], [mail.subject for mail in mailoutbox], list(events), rows()

    def rows() -> list[int]:
        models = (DownloadRun, Reconciliation, Reclaim, ReclaimRequest, EvidencePackPart, NotificationMail)
        return [model.objects.count() for model in models]

    each_once()
    done = each_once()
    assert len(world.deactivated_by_us()) == 2 and EvidencePack.objects.get().state == "ready"
    assert each_once() == done


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
    assert (run.started_by, run.started_by_user) == (StartedBy.PERSON, alice)
    # It counts once.
    assert IntegrationProfile.objects.get().download_due_by is None
    reconcile.request_by(world.profile, actor=alice)
    assert reconcile.profiles_asked_for() == [world.profile.pk]
    for _ in range(2):
        tasks.reconcile_ledger(world.profile.pk)
    actors = AuditEvent.objects.filter(action=Action.LEDGER_RECONCILED).order_by("sequence")
    assert list(actors.values_list("actor_id", flat=True)) == [alice.pk]
    assert reconcile.profiles_asked_for() == []
    # At night, nobody has asked.
    Reconciliation.objects.update(started_at=timezone.now() - reconcile.NOT_AGAIN_WITHIN)
    tasks.reconcile_ledger(world.profile.pk)
    assert list(actors.values_list("actor_id", flat=True)) == [alice.pk, None]
