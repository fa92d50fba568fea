"""A worker takes tasks again, by itself, each time the broker was killed."""

from __future__ import annotations

import time

import pytest
import redis
from django.contrib.auth.models import User
from kombu import Connection, Producer, Queue

from integrations.models import IntegrationProfile
from licensehub.audit.actions import Action
from licensehub.audit.models import AuditEvent
from licensehub.broker.transport import SignedQoS
from subscriptions import tasks
from subscriptions.models import ReclaimRule
from subscriptions.profiles import lifecycle
from tests.support.servers.workers import BrokerProcess

pytestmark = pytest.mark.worker
KILLS = 5
# Celery connects again after 2, 4, 6, ... seconds.
MAX_WAIT = 60  # seconds


def test_a_worker_takes_tasks_after_each_kill_of_the_broker(
    real_transactions, celery_worker_process, broker_process: BrokerProcess, alice: User
):
    profile = lifecycle.create_profile(name="Northwind", organization_id="1", kind="miro_enterprise", actor=None)
    ReclaimRule.objects.create(profile=profile, licenses=["full"])
    worker = celery_worker_process()
    done = AuditEvent.objects.filter(action=Action.LEDGER_RECONCILED)
    for number in range(1, KILLS + 1):
        broker_process.restart()
        IntegrationProfile.objects.update(state="published", reconcile_due_by=alice)
        until = time.monotonic() + MAX_WAIT
        while done.count() < number:
            # As the sweep does: what is lost is enqueued again.
            tasks.enqueue_task(tasks.reconcile_ledger, profile.pk)
            assert worker.process.poll() is None, worker.log.read_text(errors="replace")[-3000:]
            assert time.monotonic() < until, worker.log.read_text(errors="replace")[-3000:]
            time.sleep(1)
    assert done.count() == KILLS, "a task that was enqueued again did nothing twice"


@pytest.mark.parametrize("mended", [True, False], ids=["mended", "control"])
@pytest.mark.parametrize(("call", "ending"), [("ack", "ack"), ("reject", "reject"), ("requeue", "reject")])
def test_a_worker_may_take_the_next_message_when_the_end_of_one_is_lost(
    broker_process: BrokerProcess, monkeypatch, call: str, ending: str, mended: bool
):
    """The broker was killed between a task and its acknowledgement. Each message has a row, so twice does no harm."""
    if not mended:
        monkeypatch.delattr(SignedQoS, ending)
    with Connection(f"redis+socket://{broker_process.socket}") as connection:
        channel = connection.channel()
        channel.basic_qos(0, 1, False)
        queue = Queue("lost-acknowledgement", routing_key="lost-acknowledgement", channel=channel)
        queue.declare()
        Producer(channel).publish({}, routing_key=queue.routing_key)
        message = queue.get()
        assert message and not channel.qos.can_consume()
        broker_process.kill()
        with pytest.raises(redis.ConnectionError):
            getattr(message, call)()
        assert channel.qos.can_consume() is mended
        broker_process.start()
