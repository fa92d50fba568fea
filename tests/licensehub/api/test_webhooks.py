"""Webhooks over the API and on the command line: whether events arrive, and never where to."""

from __future__ import annotations

import json

import pytest

from integrations.models import WebhookDelivery
from tests.licensehub.command_line.conftest import cli
from tests.support.fixtures import person
from tests.support.people.organization import Organization, limited_to
from tests.support.servers.webhooks import SECRET_PATH, stored_webhook

__all__ = ["cli"]


@pytest.fixture
def failed(organization: Organization) -> WebhookDelivery:
    """A delivery that was given up, of a webhook for all profiles."""
    row = stored_webhook(name="Channel")
    WebhookDelivery.objects.filter(pk=row.pk).update(state="failed", tries=9, status=503, problem="It is down.")
    return row


def test_a_webhook_and_its_deliveries_without_address_and_secret(failed, program, carol):
    sent = program(person("ute", "Auditor"))
    [listed] = sent.get("/webhooks")["items"]
    assert listed == sent.get(f"/webhooks/{failed.webhook_id}")
    assert (listed["name"], listed["host"], listed["profiles"]) == ("Channel", "hooks.slack.com", None)
    [delivery] = sent.get(f"/webhooks/{failed.webhook_id}/deliveries", state="failed")["items"]
    assert (delivery["event_id"], delivery["status"], delivery["problem"]) == (str(failed.event_id), 503, "It is down.")
    assert sent.get(f"/webhooks/{failed.webhook_id}/deliveries", state="due")["items"] == []
    assert SECRET_PATH not in json.dumps([listed, delivery])


def test_a_reader_of_some_profiles_sees_no_webhook_of_others(failed, organization, program):
    """Control: with rows that no reader narrows, both are seen."""
    own = stored_webhook(organization.profile, name="Ours")
    ute = person("ute", "Auditor")
    limited_to(ute, organization.profile)
    sent = program(ute)
    assert [row["name"] for row in sent.get("/webhooks")["items"]] == ["Ours"]
    assert sent.call("GET", f"/webhooks/{failed.webhook_id}/deliveries").status_code == 404
    assert len(sent.get(f"/webhooks/{own.webhook_id}/deliveries")["items"]) == 1


def test_the_command_line_says_what_did_not_arrive(failed, cli, program):
    sent = program(person("ute", "Auditor"))
    shown = " ".join(cli(sent, "webhooks", "show", str(failed.webhook_id)).out.split())
    assert "host hooks.slack.com" in shown and "profiles all" in shown and "state Switched on" in shown
    found = cli(sent, "webhooks", "deliveries", str(failed.webhook_id), "--state", "failed")
    assert found.code == 0 and "503" in found.out and "It is down." in found.out
    assert cli(sent, "webhooks", "deliveries", "999").code == 5
