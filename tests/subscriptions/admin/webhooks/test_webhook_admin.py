"""The pages of webhooks: made, changed, switched, tested and sent again by an admin, and never a secret on a page."""

from __future__ import annotations

import html
import re
from datetime import timedelta

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from integrations.models import DeliveryState, Webhook, WebhookDelivery, WebhookState
from licensehub.audit.models import AuditEvent
from licensehub.sign_in import step_up
from subscriptions.webhooks.delivery import deliver_due
from tests.support.fixtures import actions, person
from tests.support.people.organization import limited_to
from tests.support.servers.scripted_server import Reply
from tests.support.servers.webhooks import Receiver, make_webhook, stored_webhook, verified

LIST = reverse("admin:integrations_webhook_changelist")
ADD = reverse("admin:integrations_webhook_add")


def page(name: str, pk: int, *more: object) -> str:
    return reverse(f"admin:integrations_webhook_{name}", args=[pk, *more])


@pytest.fixture
def cora(db) -> User:
    return person("cora", "Company admin")


@pytest.fixture
def admin(cora: User, as_user, monkeypatch) -> Client:
    """Has just confirmed who it is. There is no broker."""
    monkeypatch.setattr("licensehub.sign_in.step_up.is_confirmed", lambda request: True)
    monkeypatch.setattr("subscriptions.admin.webhooks.webhook_admin.enqueue_task", lambda task: True)
    return as_user(cora)


def entries(endpoint: Receiver, **values: object) -> dict[str, object]:
    return {
        "name": "On call",
        "url": endpoint.address,
        "events": ["request.waits", "request.decided"],
        "scope": "all",
        "language": "en",
        **values,
    }


def shown(answer) -> str:
    return html.unescape(answer.content.decode())


def test_the_secret_is_shown_once_and_the_address_never(admin, endpoint, organization):
    answer = admin.post(f"{ADD}?format=event", entries(endpoint))
    text = shown(answer)
    (secret,) = re.findall(r"whsec_[A-Za-z0-9+/=]+", text)
    webhook = Webhook.objects.get()
    assert (webhook.name, webhook.host) == ("On call", f"endpoint.example:{endpoint.port}")
    for address in (LIST, page("change", webhook.pk), page("edit", webhook.pk)):
        later = shown(admin.get(address))
        assert "whsec_" not in later and "canary" not in later
    assert "canary" not in text and answer.headers["Cache-Control"].count("no-store") == 1
    stored = str(Webhook.objects.values().get()) + str(list(AuditEvent.objects.values()))
    assert secret not in stored and "canary" not in stored
    assert admin.post(page("action", webhook.pk, "test")).status_code == 302
    assert deliver_due() == 1
    assert verified(endpoint.seen[0], secret)
    assert "HTTP 200" in shown(admin.get(page("change", webhook.pk)))
    assert [one for one in actions() if one.startswith("webhook")] == ["webhook.created", "webhook.tested"]


def test_a_new_secret_replaces_the_first(admin, endpoint, organization):
    webhook, former = make_webhook(endpoint)
    answer = admin.post(page("secret", webhook.pk))
    (secret,) = re.findall(r"whsec_[A-Za-z0-9+/=]+", shown(answer))
    assert secret != former
    assert "the former secret signs as well" in shown(answer)
    assert actions()[-1] == "webhook.secret_changed"


def test_making_one_asks_who_it_is(cora, as_user, endpoint):
    client = as_user(cora)
    session = client.session
    session[step_up.CONFIRMED] -= 301
    session.save()
    assert client.post(f"{ADD}?format=event", entries(endpoint)).status_code == 403
    assert not Webhook.objects.exists()


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"url": "http://endpoint.example/x"}, "must begin with https://"),
        ({"url": "https://evil.example/x"}, "may not call “evil.example”"),
        ({"url": "https://user:pw@endpoint.example/x"}, "has a user name in it"),
        ({"url": "not an address"}, "https://"),
        ({"name": ""}, "This field is required"),
        ({"events": []}, "This field is required"),
        ({"events": ["no.such"]}, "no.such"),
        ({"scope": "chosen"}, "Choose at least one profile"),
    ],
)
def test_wrong_entries_get_a_sentence_and_store_nothing(admin, endpoint, organization, values, said):
    answer = admin.post(f"{ADD}?format=event", entries(endpoint, **values))
    assert said in shown(answer)
    assert not Webhook.objects.exists()


@pytest.mark.parametrize(
    ("template", "said"),
    [
        ('{\n "a": 1,\n}', "Line 3, column 1: this is not JSON"),
        ('{\n "a": {title}}', "Line 2"),
        ('["{title}"]', "must be one object of JSON"),
        ('{\n "a": "{titel}"}', "Line 2: there is no placeholder {titel}"),
    ],
)
def test_a_wrong_template_is_refused_with_its_place(admin, endpoint, organization, template, said):
    answer = admin.post(f"{ADD}?format=jira", entries(endpoint, template=template))
    assert said in shown(answer)
    assert not Webhook.objects.exists()


def test_a_private_address_is_refused(admin, endpoint, organization, settings):
    settings.WEBHOOK_NETWORKS = []
    answer = admin.post(f"{ADD}?format=event", entries(endpoint))
    assert "is in a private network" in shown(answer)
    assert endpoint.seen == []


def test_a_change_keeps_the_address_and_a_new_address_loses_the_password(admin, endpoint, organization):
    webhook, _ = make_webhook(endpoint, authorization="Bearer canary-of-the-token")
    before = webhook.secrets()
    form = entries(endpoint, url="", with_names="on", seen=webhook.version)
    assert admin.post(page("edit", webhook.pk), form).status_code == 302
    webhook.refresh_from_db()
    assert webhook.with_names and webhook.secrets() == before
    event = AuditEvent.objects.order_by("-sequence").first()
    assert event.data["before"]["with_names"] is False and event.data["after"]["with_names"] is True
    form = entries(endpoint, url=f"{endpoint.address}-moved", seen=webhook.version)
    admin.post(page("edit", webhook.pk), form)
    webhook.refresh_from_db()
    assert webhook.secrets()["authorization"] == ""
    assert webhook.secrets()["secret"] == before["secret"]


def test_two_admins_at_once_do_not_overwrite_each_other(admin, endpoint, organization):
    webhook, _ = make_webhook(endpoint)
    form = entries(endpoint, url="", seen=webhook.version)
    assert admin.post(page("edit", webhook.pk), {**form, "with_names": "on"}).status_code == 302
    answer = admin.post(page("edit", webhook.pk), {**form, "name": "Other"})
    assert "Somebody has changed this webhook" in shown(answer)
    assert Webhook.objects.get().name == "On call"


def test_switched_off_and_on_and_sent_again(admin, endpoint, organization):
    webhook, _ = make_webhook(endpoint)
    delivery = stored_webhook(organization.profile, name="Other")
    admin.post(page("action", webhook.pk, "off"))
    assert Webhook.objects.get(pk=webhook.pk).state == WebhookState.OFF
    WebhookDelivery.objects.update(webhook=webhook, state=DeliveryState.HELD)
    assert "Switch it on first" in shown(admin.post(page("replay", delivery.pk), follow=True))
    admin.post(page("action", webhook.pk, "on"))
    admin.post(page("replay", delivery.pk))
    assert deliver_due() == 1
    delivery.refresh_from_db()
    assert (delivery.state, delivery.replays) == (DeliveryState.DELIVERED, 1)
    admin.post(page("replay", delivery.pk))
    assert deliver_due() == 1
    assert {seen.headers["webhook-id"] for seen in endpoint.seen} == {str(delivery.event_id)}
    assert [one for one in actions() if one.startswith("webhook")][1:] == [
        *("webhook.switched_off", "webhook.switched_on", "webhook.replayed", "webhook.replayed")
    ]


def test_a_period_is_sent_again_in_its_order(admin, endpoint, organization):
    webhook, _ = make_webhook(endpoint)
    rows = [stored_webhook(organization.profile) for _ in range(4)]
    now = timezone.now()
    for number, row in enumerate(rows):
        state = DeliveryState.DELIVERED if number == 1 else DeliveryState.FAILED
        moment = now - timedelta(days=10 if number == 0 else number)
        WebhookDelivery.objects.filter(pk=row.pk).update(webhook=webhook, state=state, occurred_at=moment)
    days = {"first": f"{now - timedelta(days=4):%Y-%m-%d}", "last": f"{now:%Y-%m-%d}", "only_missed": "on"}
    answer = admin.post(page("replay_period", webhook.pk), days, follow=True)
    assert "2 deliveries are sent again." in shown(answer)
    deliver_due()
    assert [one.headers["webhook-id"] for one in endpoint.seen] == [str(rows[3].event_id), str(rows[2].event_id)]
    admin.post(page("replay_period", webhook.pk), {**days, "only_missed": ""})
    assert WebhookDelivery.objects.filter(state=DeliveryState.DUE).count() == 3
    wrong = {**days, "first": days["last"], "last": days["first"]}
    assert "before the first day" in shown(admin.post(page("replay_period", webhook.pk), wrong, follow=True))


def test_a_deleted_webhook_leaves_its_audit_only(admin, endpoint, organization):
    webhook, _ = make_webhook(endpoint)
    WebhookDelivery.objects.filter(pk=stored_webhook().pk).update(webhook=webhook)
    admin.post(page("action", webhook.pk, "delete"))
    assert not Webhook.objects.filter(pk=webhook.pk).exists()
    assert not WebhookDelivery.objects.exists()
    assert actions()[-1] == "webhook.deleted"
    assert AuditEvent.objects.order_by("-sequence").first().data["name"] == "On call"


def test_a_page_shows_neither_names_nor_markup_of_an_answer(admin, endpoint, organization):
    webhook, _ = make_webhook(endpoint, with_names=True)
    row = stored_webhook(organization.profile)
    content = {**row.content, "details": {"people": [{"name": "Person 5", "email": "p5@x.example"}]}}
    WebhookDelivery.objects.filter(pk=row.pk).update(webhook=webhook, content=content)
    endpoint.replies = [Reply(status=400, raw=b"<script>alert(1)</script>")]
    deliver_due()
    raw = admin.get(page("delivery", row.pk)).content.decode()
    assert "Person 5" not in raw and "p5@x" not in raw
    assert "With names, which are not shown here" in raw
    assert "<script>alert(1)" not in raw and "&lt;script&gt;alert(1)" in raw


def test_an_admin_of_some_profiles_sees_and_makes_webhooks_of_these(cora, as_user, admin, us, endpoint, organization):
    everything = stored_webhook(name="Everything").webhook
    theirs = stored_webhook(us.profile, name="Theirs").webhook
    both = stored_webhook(us.profile, organization.profile, name="Both").webhook
    mine = stored_webhook(organization.profile, name="Mine")
    client = as_user(limited_to(cora, organization.profile))
    text = shown(client.get(LIST))
    assert "Mine" in text
    assert not any(name in text for name in ("Everything", "Theirs", "Both"))
    for row in (everything, theirs, both):
        assert client.get(page("change", row.pk)).status_code == 404
        assert client.post(page("action", row.pk, "delete")).status_code == 404
    assert client.get(page("delivery", mine.pk)).status_code == 200
    hidden = WebhookDelivery.objects.get(webhook=both)
    assert client.get(page("delivery", hidden.pk)).status_code == 404
    assert client.post(page("replay", hidden.pk)).status_code == 404
    for values in ({"scope": "all"}, {"scope": "chosen", "profiles": [us.profile.pk]}):
        client.post(f"{ADD}?format=event", entries(endpoint, **values))
    assert not Webhook.objects.filter(name="On call").exists()
    client.post(f"{ADD}?format=event", entries(endpoint, scope="chosen", profiles=[organization.profile.pk]))
    assert Webhook.objects.get(name="On call").profiles.get() == organization.profile


def test_the_page_is_german_for_a_german_admin(admin, cora, endpoint):
    row = stored_webhook(name="Kanal").webhook
    Webhook.objects.filter(pk=row.pk).update(error="The host answered 500.", failing_since=timezone.now())
    admin.cookies["django_language"] = "de"
    from subscriptions.accounts.settings import choose_language

    choose_language(cora, "de")
    text = shown(admin.get(page("change", row.pk)))
    assert "Der Host hat mit 500 geantwortet." in text
    assert "Test senden" in text and "Send a test" not in text
