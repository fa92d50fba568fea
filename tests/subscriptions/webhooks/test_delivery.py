"""Deliveries to a real receiver over TLS: signed, tried again, given up, and never by two workers at once."""

from __future__ import annotations

import json
import threading
import time
from datetime import timedelta

import pytest
from django.db import connection, connections, transaction
from django.db.models import F

from integrations.models import DeliveryState, SendingControl, Webhook, WebhookDelivery, WebhookState
from licensehub.audit.log import NotInTransaction
from licensehub.audit.models import AuditEvent
from licensehub.database.clock import database_now
from subscriptions.webhooks import delivery
from subscriptions.webhooks.delivery import BACKOFF, MAX_TOTAL_WAIT, anything_due, deliver_due, repair
from subscriptions.webhooks.events import Event, raise_event
from subscriptions.webhooks.setup import change_secret, switch_off, switch_on
from tests.support.people.organization import Organization
from tests.support.servers.scripted_server import DRIP_SECONDS, Reply
from tests.support.servers.webhooks import HOST, Receiver, make_webhook, verified


def happen(organization: Organization, event: Event = Event.REQUEST_DECIDED, **data: object) -> WebhookDelivery:
    """Something happens. Returns the newest delivery."""
    facts = {"request": 1, "number": "R-1", "direction": "deactivate", "people": 3, "decision": "approved", **data}
    with transaction.atomic():
        raise_event(event, profile=organization.profile, data=facts, path="/admin/x/")
    return WebhookDelivery.objects.latest("pk")


def later(row: WebhookDelivery, **by: float) -> WebhookDelivery:
    """Move the moments of the row and its webhook back, so that this much time has passed."""
    passed = timedelta(**by)
    rows = WebhookDelivery.objects.filter(pk=row.pk)
    rows.update(due_at=F("due_at") - passed, occurred_at=F("occurred_at") - passed)
    for name in ("next_try_at", "failing_since"):
        Webhook.objects.filter(pk=row.webhook_id).exclude(**{name: None}).update(**{name: F(name) - passed})
    return rows.get()


def now_is(row: WebhookDelivery) -> WebhookDelivery:
    return WebhookDelivery.objects.select_related("webhook").get(pk=row.pk)


def test_an_event_is_sent_signed_and_noted(endpoint: Receiver, organization: Organization):
    webhook, secret = make_webhook(endpoint)
    row = happen(organization)
    assert anything_due()
    assert deliver_due() == 1
    (seen,) = endpoint.seen
    assert seen.path == "/services/T000/B000/canary-of-the-path"
    body = json.loads(seen.body)
    assert body["type"] == "request.decided"
    assert body["id"] == seen.headers["webhook-id"] == str(row.event_id)
    assert body["profile"] == {"id": organization.profile.pk, "name": "Northwind"}
    assert body["url"].endswith("/admin/x/")
    assert body["data"]["people"] == 3
    assert "details" not in body
    assert verified(seen, secret, now=time.time())
    row, webhook = now_is(row), Webhook.objects.get(pk=webhook.pk)
    assert (row.state, row.status, row.answer, row.tries) == (DeliveryState.DELIVERED, 200, '{"ok": true}', 1)
    assert webhook.delivered_at and not webhook.failing_since
    assert not anything_due()


def test_a_receiver_finds_a_changed_body_a_wrong_secret_and_an_old_message(endpoint, organization):
    _webhook, secret = make_webhook(endpoint)
    happen(organization)
    deliver_due()
    (seen,) = endpoint.seen
    assert not verified(seen, secret, now=time.time() + 600)
    assert not verified(seen, "whsec_AAAA")
    seen.body = seen.body.replace(b"3", b"4")
    assert not verified(seen, secret)


def test_after_a_new_secret_both_sign_for_a_day(endpoint, organization):
    webhook, former = make_webhook(endpoint)
    secret = change_secret(webhook, actor=None)
    happen(organization)
    deliver_due()
    assert verified(endpoint.seen[0], former) and verified(endpoint.seen[0], secret)
    Webhook.objects.update(former_secret_until=database_now())
    happen(organization)
    deliver_due()
    assert verified(endpoint.seen[1], secret) and not verified(endpoint.seen[1], former)


@pytest.mark.parametrize(
    ("reply", "status", "problem"),
    [
        (Reply(status=500, data="no"), 500, "The host answered 500."),
        (Reply(status=404, data="no"), 404, "The host answered 404."),
        (Reply(status=302, headers={"Location": "https://elsewhere.example/"}), 302, "redirect (302)"),
        (Reply(manner="cut"), None, "closed the connection"),
    ],
)
def test_a_failure_is_noted_and_tried_again_with_the_same_id(endpoint, organization, reply, status, problem):
    make_webhook(endpoint)
    row = happen(organization)
    endpoint.replies = [reply, Reply(data="fine")]
    assert deliver_due() == 0
    row = now_is(row)
    assert (row.state, row.status, row.tries) == (DeliveryState.DUE, status, 1)
    assert problem in row.problem and problem in row.webhook.error
    assert row.webhook.failing_since
    pause = row.due_at - row.tried_at
    assert BACKOFF[0] * 0.75 <= pause <= BACKOFF[0] * 1.25
    assert not anything_due()
    later(row, minutes=2)
    assert deliver_due() == 1
    assert [one.headers["webhook-id"] for one in endpoint.seen] == [str(row.event_id)] * 2
    row = now_is(row)
    assert (row.state, row.tries, row.problem) == (DeliveryState.DELIVERED, 2, "")
    assert row.webhook.failing_since is None and row.webhook.error == ""


def test_a_slow_receiver_ends_at_the_deadline(endpoint, organization, monkeypatch):
    from licensehub.outbound import pinned

    monkeypatch.setattr(pinned.post, "__kwdefaults__", {"ca_bundle": "", "limits": pinned.Limits(connect=30, total=2)})
    make_webhook(endpoint)
    row = happen(organization)
    endpoint.replies = [Reply(raw=b"a" * 2000, manner="drip_head")]
    deliver_due()
    assert endpoint.dripped * DRIP_SECONDS < 4
    assert "in time" in now_is(row).problem


def test_the_pauses_grow_and_differ(organization, endpoint):
    """A receiver that comes back does not get everything at one moment."""
    make_webhook(endpoint)
    endpoint.replies = [Reply(status=400)]
    row = happen(organization)
    for pause in BACKOFF:
        deliver_due()
        row = now_is(row)
        assert pause * 0.79 <= row.due_at - row.tried_at <= pause * 1.21
        row = later(row, days=1)
    assert len({delivery.jittered(timedelta(hours=1)) for _ in range(20)}) > 10


def test_a_host_that_is_down_gets_nothing_else_meanwhile(endpoint, organization):
    make_webhook(endpoint)
    endpoint.replies = [Reply(status=503, headers={"Retry-After": "1800"})]
    first = happen(organization)
    second = happen(organization)
    deliver_due()
    assert len(endpoint.seen) == 1
    webhook = Webhook.objects.get()
    assert timedelta(minutes=29) < webhook.next_try_at - database_now() <= timedelta(minutes=30)
    assert now_is(first).tries + now_is(second).tries == 1


@pytest.mark.parametrize(
    ("asked", "pause"),
    [
        ("1800", timedelta(minutes=30)),
        ("999999", timedelta(hours=1)),
        ("Thu, 31 Dec 2099 23:59:59 GMT", timedelta(hours=1)),
    ],
)
def test_a_busy_host_says_when_to_come_back(endpoint, organization, asked, pause):
    """The pause is an hour at most: a host cannot make LicenseHub silent for days."""
    make_webhook(endpoint)
    endpoint.replies = [Reply(status=429, headers={"Retry-After": asked})]
    row = happen(organization)
    deliver_due()
    row = now_is(row)
    for moment in (row.due_at, row.webhook.next_try_at):
        assert pause - timedelta(seconds=30) < moment - database_now() <= pause


def test_an_event_that_a_receiver_refuses_delays_no_other(endpoint, organization):
    make_webhook(endpoint)
    endpoint.replies = [Reply(status=400), Reply(data="fine")]
    happen(organization)
    happen(organization)
    assert deliver_due() == 1
    assert len(endpoint.seen) == 2


def test_after_days_the_webhook_is_switched_off_and_new_events_wait_for_an_admin(endpoint, organization):
    webhook, _secret = make_webhook(endpoint)
    endpoint.replies = [Reply(status=500)]
    row = happen(organization)
    deliver_due()
    later(row, seconds=MAX_TOTAL_WAIT.total_seconds() - 60)
    repair()
    assert Webhook.objects.get().state == WebhookState.ON
    later(row, minutes=2)
    repair()
    webhook.refresh_from_db()
    assert webhook.state == WebhookState.FAILED
    event = AuditEvent.objects.order_by("-sequence").first()
    assert (event.action, event.actor_name, event.data) == (
        "webhook.disabled",
        "LicenseHub",
        {"failures": 1, "held": 1},
    )
    held = happen(organization)
    assert [now_is(one).state for one in (row, held)] == [DeliveryState.HELD] * 2
    assert not anything_due()
    switch_on(webhook, actor=None)
    assert not anything_due()
    assert Webhook.objects.get().failing_since is None


def test_a_delivery_is_given_up_after_days(endpoint, organization):
    make_webhook(endpoint)
    endpoint.replies = [Reply(status=400)]
    row = happen(organization)
    tries = 0
    while now_is(row).state == DeliveryState.DUE and tries < 20:
        deliver_due()
        tries += 1
        later(row, hours=15)
    # The pauses take a day together, then there is one every twelve hours.
    assert (now_is(row).state, tries) == (DeliveryState.FAILED, len(BACKOFF) + 1)
    assert not anything_due()
    assert now_is(row).webhook.state == WebhookState.ON


def test_what_was_being_sent_while_its_webhook_was_switched_off_waits_as_well(endpoint, organization):
    """Control: without the last lines of `repair` it stays due while the webhook is off, and never grows old."""
    webhook, _secret = make_webhook(endpoint)
    row = happen(organization)
    claimed = delivery._claim()
    switch_off(webhook, actor=None)
    delivery._note_failure(claimed, "The host answered 500.", host_is_down=True)
    repair()
    assert now_is(row).state == DeliveryState.HELD
    switch_on(webhook, actor=None)
    assert not anything_due()


def test_a_webhook_that_is_off_gets_nothing(endpoint, organization):
    webhook, _secret = make_webhook(endpoint)
    row = happen(organization)
    switch_off(webhook, actor=None)
    assert deliver_due() == 0
    assert endpoint.seen == []
    assert now_is(row).state == DeliveryState.HELD


def test_a_worker_that_dies_after_the_send_sends_again_with_the_same_id(endpoint, organization, monkeypatch):
    """At least once: nothing is written after the send, so the lease ends and another worker sends it again."""
    make_webhook(endpoint)
    row = happen(organization)

    def die(*_: object) -> bool:
        raise SystemExit

    with monkeypatch.context() as patch, pytest.raises(SystemExit):
        patch.setattr(delivery, "_note_delivered", die)
        deliver_due()
    assert now_is(row).state == DeliveryState.SENDING
    repair()
    assert deliver_due() == 0, "the lease still holds"
    WebhookDelivery.objects.update(lease_until=database_now() - timedelta(seconds=1))
    repair()
    assert deliver_due() == 1
    assert [one.headers["webhook-id"] for one in endpoint.seen] == [str(row.event_id)] * 2


def test_a_worker_that_comes_back_after_its_lease_overwrites_nothing(endpoint, organization):
    make_webhook(endpoint)
    row = happen(organization)
    claimed = delivery._claim()
    WebhookDelivery.objects.update(lease_until=database_now() - timedelta(seconds=1))
    repair()
    assert deliver_due() == 1
    delivery._note_failure(claimed, "too late", host_is_down=True)
    assert not delivery._note_delivered(claimed, {"status": 299})
    row = now_is(row)
    assert (row.state, row.status, row.problem) == (DeliveryState.DELIVERED, 200, "")


def test_nothing_is_sent_by_a_database_that_may_be_a_copy(endpoint, organization):
    make_webhook(endpoint)
    happen(organization)
    SendingControl.objects.update(held_at=database_now())
    assert not anything_due()
    assert deliver_due() == 0
    assert endpoint.seen == []


def test_nothing_is_sent_from_inside_of_a_transaction(endpoint, organization):
    make_webhook(endpoint)
    happen(organization)
    with pytest.raises(RuntimeError, match="transaction"), transaction.atomic():
        deliver_due()
    assert endpoint.seen == []


def test_an_event_is_written_only_together_with_what_happened(endpoint, organization):
    make_webhook(endpoint)
    with pytest.raises(NotInTransaction):
        raise_event(Event.REQUEST_DECIDED, profile=organization.profile, data={}, path="/")

    class Undone(Exception):
        pass

    with pytest.raises(Undone), transaction.atomic():
        raise_event(Event.REQUEST_DECIDED, profile=organization.profile, data={}, path="/")
        raise Undone
    assert not WebhookDelivery.objects.exists()


def test_the_answer_is_kept_short_and_without_secrets(endpoint, organization, settings):
    _webhook, secret = make_webhook(endpoint, authorization="Bearer canary-of-the-token")
    said = f"path canary-of-the-path token canary-of-the-token secret {secret} key {settings.APPROVAL_KEY}\n\x00 "
    endpoint.replies = [Reply(raw=(said + "x" * 5000).encode())]
    row = happen(organization)
    deliver_due()
    answer = now_is(row).answer
    assert len(answer) == 300 and answer.startswith("path *** token *** secret *** key *** xxx")
    assert "canary" not in answer and secret not in answer
    assert endpoint.seen[0].headers["Authorization"] == "Bearer canary-of-the-token"


def test_a_name_that_moves_inside_is_refused_at_each_send(endpoint, organization):
    """It was public when the admin entered it."""
    make_webhook(endpoint)
    row = happen(organization)
    endpoint.names[HOST] = lambda: ["169.254.169.254"]
    deliver_due()
    assert "private network" in now_is(row).problem
    assert endpoint.seen == []


@pytest.mark.skipif(connection.vendor != "postgresql", reason="SQLite has one writer at a time; races are PostgreSQL's")
def test_two_workers_at_once_send_each_delivery_once(real_transactions, endpoint, organization):
    make_webhook(endpoint)
    for _ in range(30):
        happen(organization)
    barrier = threading.Barrier(4)

    def work() -> None:
        barrier.wait()
        try:
            deliver_due()
        finally:
            connections.close_all()

    workers = [threading.Thread(target=work) for _ in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    ids = [seen.headers["webhook-id"] for seen in endpoint.seen]
    assert len(ids) == len(set(ids)) == 30
    assert set(WebhookDelivery.objects.values_list("state", "tries")) == {(DeliveryState.DELIVERED, 1)}
