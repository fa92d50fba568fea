"""Each event is raised in its one place, for the webhooks of its profile, with names only where they are wanted."""

from __future__ import annotations

import ast
import json
from collections import Counter
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings as installed
from django.contrib.auth.models import User
from django.utils import timezone

from integrations.models import Connection, ConnectionState, Webhook, WebhookDelivery
from integrations.scopes.visibility import seen_by
from licensehub.database.clock import database_now
from subscriptions.approvals.closing import expire_requests
from subscriptions.approvals.decide import approve, reject
from subscriptions.models import DownloadRun, HoldReason, Notification, Reclaim, ReclaimRequest
from subscriptions.notifications.recipients import update
from subscriptions.reports.monthly import make_due
from subscriptions.sweep import tell_webhooks
from subscriptions.webhooks.events import CHOICES, Event
from subscriptions.webhooks.messages import WORDS
from tests.support.people.organization import Organization, seen
from tests.support.servers.webhooks import Receiver, make_webhook

EVERY = tuple(name for name, _label in CHOICES)


@pytest.fixture
def webhook(endpoint: Receiver) -> Webhook:
    return make_webhook(endpoint, events=EVERY)[0]


def minute() -> None:
    """The sweep does this each minute."""
    update()
    tell_webhooks()


def events() -> list[str]:
    return list(WebhookDelivery.objects.order_by("pk").values_list("event", flat=True))


def content(event: Event) -> dict[str, Any]:
    return WebhookDelivery.objects.get(event=event.value).content


def decide(request: ReclaimRequest, user: User) -> None:
    shown: dict[str, Any] = seen(request)
    approve(request, actor=user, **shown)


def test_each_event_is_raised_in_one_place():
    """By its name in the code: in no place it is dead, in two its rules drift apart."""
    found: Counter[str] = Counter()
    for package in ("subscriptions", "integrations", "licensehub"):
        for path in (Path(installed.BASE_DIR) / package).rglob("*.py"):
            # The words of each event, and the choices of a form.
            if path.parent.name == "webhooks" and (path.name == "messages.py" or path.parent.parent.name == "admin"):
                continue
            for node in ast.walk(ast.parse(path.read_text())):
                if (
                    isinstance(node, ast.Attribute)
                    and isinstance(node.value, ast.Name)
                    and node.value.id == "Event"
                    and node.attr.isupper()
                ):
                    found[node.attr] += 1
    found["TEST"] -= 1  # the list of choices leaves it out
    assert found == Counter({event.name: 1 for event in Event})
    assert set(WORDS) == set(Event)


def test_a_request_that_waits_is_decided(organization: Organization, webhook, alice, bob):
    request = organization.ask(alice)
    minute()
    minute()
    assert events() == ["request.waits"]
    told = content(Event.REQUEST_WAITS)
    assert told["data"] == {
        "request": request.pk,
        "number": request.number,
        "direction": "deactivate",
        "people": 3,
        "requested_at": request.requested_at.isoformat(),
        "expires_at": ReclaimRequest.objects.get().expires_at.isoformat(),
    }
    assert told["path"] == f"/admin/subscriptions/reclaimrequest/{request.pk}/change/"
    decide(request, bob)
    assert events() == ["request.waits", "request.decided"]
    assert content(Event.REQUEST_DECIDED)["data"]["decision"] == "approved"


def test_a_decision_that_is_undone_tells_nobody(organization, webhook, alice, bob, monkeypatch):
    """The event is in the transaction of the decision."""
    request = organization.ask(alice)

    def fail(*_: object, **__: object) -> int:
        raise RuntimeError

    monkeypatch.setattr("subscriptions.approvals.decide.enqueue", fail)
    with pytest.raises(RuntimeError):
        decide(request, bob)
    assert events() == []


def test_a_rejection_and_an_end_that_comes(organization, webhook, alice, bob):
    request = organization.ask(alice)
    now = database_now()
    ReclaimRequest.objects.update(requested_at=now - timedelta(days=3), expires_at=now + timedelta(hours=1))
    minute()
    assert sorted(events()) == ["request.ends_soon", "request.waits"]
    request.refresh_from_db()
    reject(request, actor=bob, comment="Not these")
    assert content(Event.REQUEST_DECIDED)["data"]["decision"] == "rejected"


def test_a_request_expires(organization, webhook, alice):
    organization.ask(alice)
    ReclaimRequest.objects.update(expires_at=database_now() - timedelta(minutes=1))
    expire_requests()
    minute()
    minute()
    assert events() == ["request.expired"]


def test_names_are_in_it_only_where_they_are_wanted(organization, endpoint, alice, bob):
    plain, _secret = make_webhook(endpoint, "Plain", events=EVERY)
    named, _secret = make_webhook(endpoint, "Named", events=EVERY, with_names=True)
    request = organization.ask(alice)
    reject(request, actor=bob, comment="Ask Person 5 first")
    without, with_names = (WebhookDelivery.objects.get(webhook=one) for one in (plain, named))
    assert without.event_id == with_names.event_id
    assert without.content["data"] == with_names.content["data"]
    text = json.dumps(without.content)
    assert not any(word in text for word in ("Person", "alice", "bob", "@northwind", "Ask"))
    details = with_names.content["details"]
    assert (details["requested_by"], details["decided_by"]) == ("alice", "bob")
    assert details["comment"] == "Ask Person 5 first"
    assert {one["email"] for one in details["people"]} <= {f"person{n}@northwind.example" for n in range(12)}
    assert len(details["people"]) == 3


def test_a_webhook_gets_the_events_that_it_asked_for_of_its_profiles(organization, us, endpoint, alice, bob):
    everything, _ = make_webhook(endpoint, "All")
    ours, _ = make_webhook(endpoint, "Ours", profiles=frozenset({organization.profile.pk}))
    other, _ = make_webhook(endpoint, "Other", events=("cap.reached",))
    # The person who decides may see this profile only. The webhook of all profiles is told all the same.
    with seen_by(lambda: frozenset({us.profile.pk})):
        reject(us.ask(alice), actor=bob, comment="No")
    assert list(WebhookDelivery.objects.values_list("webhook__name", flat=True)) == ["All"]
    reject(organization.ask(alice), actor=bob, comment="No")
    assert everything.deliveries.count() == 2
    assert ours.deliveries.count() == 1
    assert other.deliveries.count() == 0


def test_a_connection_fails_and_a_download_is_quarantined_and_missing(organization, webhook):
    connection = Connection.objects.create(
        profile=organization.profile, slot="rest", state=ConnectionState.ERROR, error="The token ended."
    )
    DownloadRun.objects.filter(pk=organization.run.pk).update(state="quarantined", problem="Half of the people")
    minute()
    assert sorted(events()) == ["connection.failed", "download.quarantined"]
    assert content(Event.CONNECTION_FAILED)["data"]["connection"] == connection.pk
    assert content(Event.DOWNLOAD_QUARANTINED)["data"]["run"] == organization.run.pk
    assert "Half" not in json.dumps(content(Event.DOWNLOAD_QUARANTINED))


def test_answers_are_lost_and_a_cap_is_reached(organization, webhook, alice, bob):
    request = organization.ask(alice)
    decide(request, bob)
    first, *others = Reclaim.objects.order_by("pk").values_list("pk", flat=True)
    Reclaim.objects.filter(pk=first).update(state="in_doubt", sending_at=database_now())
    Reclaim.objects.filter(pk__in=others).update(hold_reason=HoldReason.ROLLING_CAP)
    minute()
    minute()
    assert content(Event.RECLAIM_IN_DOUBT)["data"] == {"items": 1}
    assert content(Event.CAP_REACHED)["data"]["waiting"] == 2
    assert "free_at" in content(Event.CAP_REACHED)["data"]
    # A try clears the reason for a moment, and the next one finds it again.
    Reclaim.objects.filter(pk__in=others).update(hold_reason="")
    minute()
    Reclaim.objects.filter(pk__in=others).update(hold_reason=HoldReason.ROLLING_CAP)
    minute()
    assert events().count("cap.reached") == 1


def test_the_savings_of_a_month_are_told_once_for_each_profile(organization, us, webhook):
    DownloadRun.objects.update(finished_at=timezone.now() - timedelta(days=40))
    assert make_due() is not None
    assert make_due() is None
    rows = WebhookDelivery.objects.filter(event=Event.SAVINGS_MONTHLY.value)
    assert {row.profile_id for row in rows} == {organization.profile.pk, us.profile.pk}
    data = rows[0].content["data"]
    assert set(data) == {"month", "seats", "inactive", "reclaimed", "again", "restored", "saved_per_year"}


def test_without_a_webhook_nothing_is_written(organization, alice, bob, django_assert_num_queries):
    request = organization.ask(alice)
    minute()
    decide(request, bob)
    assert not WebhookDelivery.objects.exists()
    assert not Notification.objects.filter(ended_at=None, raised_at=None).exists()
