"""Credentials and webhooks of a file: each secret by a reference, and none in a plan, a dump or the audit."""

from __future__ import annotations

import pytest

from integrations.models import Connection, Webhook, WebhookDelivery
from licensehub.audit.models import AuditEvent
from licensehub.configuration.apply import caller_of
from licensehub.configuration.document import as_yaml, dump, plan_of
from licensehub.configuration.reading import Wrong, read_text
from subscriptions.webhooks.delivery import deliver_due
from tests.support.configuration import applied, differences
from tests.support.people.organization import Organization
from tests.support.servers.webhooks import SECRET_PATH, Receiver, make_webhook, stored_webhook

TOKEN = "canary-of-the-token-of-the-file"


def file_of(organization: Organization, **connections: dict[str, str]) -> dict:
    profile = organization.profile
    one = {"kind": profile.kind, "organization_id": profile.organization_id, "connections": connections}
    return {"licensehub": 1, "profiles": {profile.name: one}}


def channel(**values: object) -> dict:
    common = {"format": "slack", "events": ["request.waits"], "url": "env:CHANNEL_URL"}
    return {"licensehub": 1, "webhooks": {"Channel": {**common, **values}}}


@pytest.fixture(autouse=True)
def references(organization: Organization, monkeypatch, endpoint: Receiver) -> None:
    for slot in organization.profile.connector.slots:
        Connection.objects.create(profile=organization.profile, slot=slot.name)
    monkeypatch.setenv("MIRO_TOKEN", TOKEN)
    monkeypatch.setenv("CHANNEL_URL", endpoint.address)


def is_told_nowhere(secret: str, lines: list[str]) -> bool:
    events = list(AuditEvent.objects.values_list("data", flat=True))
    return secret not in f"{lines} {as_yaml(dump())} {events}"


def test_credentials_are_stored_once_and_are_shown_nowhere(organization: Organization, admin):
    wanted = file_of(organization, scim={"token": "env:MIRO_TOKEN"})
    lines = applied(wanted, admin())
    assert len(lines) == 1 and "connections: scim" in lines[0]
    row = Connection.objects.select_related("profile").get(profile=organization.profile, slot="scim")
    assert row.secrets() == {"token": TOKEN}
    assert differences(wanted) == []
    assert is_told_nowhere(TOKEN, lines)


@pytest.mark.parametrize(
    ("reference", "sentence"),
    [
        (TOKEN, "A secret never stands in this file"),
        ("env:NOT_SET_HERE", "The variable NOT_SET_HERE is not set"),
        ("file:relative/path", "Write the whole path"),
        ("file:/not/there", "cannot be read"),
    ],
)
def test_a_reference_to_nothing_has_a_place_and_changes_nothing(organization, admin, reference, sentence):
    """Control: with `entry.text()` instead of `secret_of`, the first one is stored."""
    before = Connection.objects.values_list("ciphertext", flat=True).order_by("pk")
    stored = list(before)
    with pytest.raises(Wrong, match=rf"x:\d+:\d+: .*{sentence}") as wrong:
        applied(file_of(organization, scim={"token": reference}), admin())
    assert TOKEN not in str(wrong.value)
    assert list(before.all()) == stored


def test_a_webhook_is_made_changed_and_switched(organization: Organization, admin, endpoint: Receiver):
    lines = applied(channel(), admin())
    row = Webhook.objects.get()
    assert (row.name, row.format, row.events, row.all_profiles, row.state) == (
        "Channel",
        "slack",
        ["request.waits"],
        True,
        "on",
    )
    assert differences(channel()) == differences({"licensehub": 1, "webhooks": dump()["webhooks"]}) == []
    # The address is looked up by the first call, and not in the transaction of the file.
    assert endpoint.looked_up == []
    assert is_told_nowhere(SECRET_PATH, lines)

    wanted = channel(profiles=[organization.profile.name], events=["request.decided"], enabled=False)
    assert len(applied(wanted, admin())) == 2
    row.refresh_from_db()
    assert (row.events, row.all_profiles, row.state) == (["request.decided"], False, "off")
    assert [profile.pk for profile in row.profiles.all()] == [organization.profile.pk]
    actions = list(AuditEvent.objects.filter(action__startswith="webhook.").values_list("action", "actor_name"))
    made = ["webhook.created", "webhook.changed", "webhook.switched_off"]
    assert sorted(actions) == sorted((action, "carol") for action in made)


def test_a_webhook_is_made_switched_off(organization, admin):
    """Control: without `switch_off` in `_create`, it sends from the first moment."""
    assert len(applied(channel(enabled=False), admin())) == 1
    assert Webhook.objects.get().state == "off" and differences(channel(enabled=False)) == []


def test_values_and_address_are_changed_together(organization, admin, endpoint, monkeypatch):
    applied(channel(), admin())
    monkeypatch.setenv("CHANNEL_URL", endpoint.address + "/other")
    [line] = applied(channel(language="de"), admin())
    assert "language: en → de; url: replace it" in line
    row = Webhook.objects.get()
    assert (row.language, row.secrets()["url"]) == ("de", endpoint.address + "/other")


def test_the_format_stays_and_a_new_webhook_needs_an_address(organization, admin):
    applied(channel(), admin())
    # The plan says it already.
    [mistake] = plan_of(read_text(as_yaml(channel(format="teams")), "x"), prune=False).mistakes
    assert str(mistake).startswith("x:5:13: The format of a webhook cannot be changed")
    without = channel()
    without["webhooks"]["Other"] = {"format": "slack", "events": ["request.waits"]}
    with pytest.raises(Wrong, match=r"x:\d+:\d+: “url” is missing here"):
        applied(without, admin())
    assert Webhook.objects.get().format == "slack"


def test_what_the_file_does_not_name_stays(organization, admin, endpoint):
    row, _secret = make_webhook(endpoint, name="On call", with_names=True)
    named = {"licensehub": 1, "webhooks": {"On call": {"language": "de"}}}
    assert len(applied(named, admin())) == 1
    row.refresh_from_db()
    assert (row.language, row.with_names, row.secrets()["url"]) == ("de", True, endpoint.address)


def test_a_webhook_that_the_file_lacks_is_shown_and_stays(organization, admin, endpoint):
    make_webhook(endpoint, name="On call")
    lines = applied({"licensehub": 1, "webhooks": {}}, admin(), prune=True)
    assert [line[0] for line in lines] == ["-"] and Webhook.objects.count() == 1


def test_another_address_takes_no_password_along(organization, admin, endpoint, monkeypatch):
    """Control: with the stored authorization for a new address, the second receiver gets it."""
    make_webhook(endpoint, name="Channel", format="jira", authorization="Basic canary", events=("request.waits",))
    monkeypatch.setenv("CHANNEL_URL", endpoint.address + "/other")
    assert len(applied(channel(format="jira"), admin())) == 1
    assert Webhook.objects.get().secrets()["authorization"] == ""


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ({"url": "https://hooks.slack.com/services/canary"}, "A secret never stands in this file"),
        ({"format": "fax"}, "“fax” is not known here"),
        ({"events": ["request.lost"]}, "There is no event “request.lost”"),
        ({"events": []}, "Choose at least one event"),
        ({"profiles": ["Contoso"]}, "“Contoso” is not known here"),
        ({"profiles": []}, "Name at least one profile"),
        ({"language": "xx"}, "There is no language “xx”"),
        ({"template": "{}"}, "Only a ticket has a template"),
        ({"colour": "red"}, "“colour” is not known here"),
    ],
)
def test_each_mistake_has_its_place_and_makes_nothing(organization, admin, values, sentence):
    with pytest.raises(Wrong, match=rf"x:\d+:\d+: .*{sentence}"):
        applied(channel(**values), admin())
    assert not Webhook.objects.exists()


@pytest.mark.parametrize("address", ["http://endpoint.example/x", "https://elsewhere.example/x", "https://10.0.0.8/x"])
def test_an_address_that_the_settings_do_not_allow_is_refused(organization, admin, monkeypatch, address):
    """Control: without `allowed` in `_secrets` and `_target`, the webhook is made."""
    monkeypatch.setenv("CHANNEL_URL", address)
    # The plan says it already, at the place of the address.
    [mistake] = plan_of(read_text(as_yaml(channel()), "x"), prune=False).mistakes
    assert str(mistake).startswith("x:8:10: ")
    with pytest.raises(Wrong, match=r"x:\d+:\d+: "):
        applied(channel(), admin())
    assert not Webhook.objects.exists()


def test_a_name_that_has_a_private_number_by_now_is_not_called(organization, admin, endpoint, settings):
    """The address is looked up by each call, since its answer may be another one than that of the file's day."""
    applied(channel(events=["request.waits"]), admin())
    settings.WEBHOOK_NETWORKS = []
    waiting = stored_webhook(name="Model")
    WebhookDelivery.objects.filter(pk=waiting.pk).update(webhook=Webhook.objects.get(name="Channel"))
    deliver_due()
    assert endpoint.seen == [] and endpoint.looked_up == ["endpoint.example"]


def test_a_token_without_the_right_makes_no_webhook(organization, program, alice):
    with pytest.raises(Wrong, match="does not have the right integrations"):
        applied(channel(), caller_of(program(alice).text))
    assert not Webhook.objects.exists()
