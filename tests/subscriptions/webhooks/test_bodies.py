"""The bodies: messages that no name can change, tickets that stay what they are, and each event in both languages."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

from integrations.models import WebhookDelivery, WebhookFormat
from subscriptions.webhooks.bodies import body_of
from subscriptions.webhooks.events import Event
from subscriptions.webhooks.templates import JIRA, SERVICENOW, TEMPLATES, BadTemplate, check
from tests.support.servers.webhooks import stored_webhook

REQUEST = {
    "request": 1,
    "number": "R-0001",
    "direction": "deactivate",
    "people": 3,
    "requested_at": "2026-11-27T10:00:00+00:00",
    "expires_at": "2026-11-30T10:00:00+00:00",
}
# The data that each event has, as its place in the code writes it: see test_events.
DATA: dict[Event, dict[str, Any]] = {
    Event.REQUEST_WAITS: REQUEST,
    Event.REQUEST_ENDS_SOON: REQUEST,
    Event.REQUEST_DECIDED: {**REQUEST, "decision": "approved"},
    Event.REQUEST_EXPIRED: REQUEST,
    Event.DOWNLOAD_QUARANTINED: {"run": 1, "started_at": "2026-11-27T10:00:00+00:00"},
    Event.DOWNLOAD_MISSING: {"last_complete_at": None},
    Event.CONNECTION_FAILED: {"connection": 1, "slot": "rest", "since": "2026-11-27T10:00:00+00:00"},
    Event.RECLAIM_IN_DOUBT: {"items": 1},
    Event.CAP_REACHED: {"waiting": 2, "free_at": "2026-11-27T10:00:00+00:00"},
    Event.SAVINGS_MONTHLY: {"month": "2026-10", "reclaimed": 7, "saved_per_year": {"EUR": "1200.50"}},
    Event.TEST: {"webhook": "x"},
}
ATTACK = 'Eve <!channel> <https://evil.example|click> [click](https://evil.example) "}, {"a": "b" {url}'


def sent(format: WebhookFormat, event: Event = Event.REQUEST_WAITS, **values: Any) -> dict[str, Any]:
    details = values.pop("details", None)
    row = stored_webhook(format=format, **values)
    content = {"data": DATA[event], "path": "/admin/page/"} | ({"details": details} if details else {})
    WebhookDelivery.objects.filter(pk=row.pk).update(event=event.value, content=content)
    found: dict[str, Any] = json.loads(body_of(WebhookDelivery.objects.get(pk=row.pk)))
    return found


def test_the_tables_of_this_test_are_complete():
    assert set(DATA) == set(Event)


@pytest.mark.parametrize("language", ["en", "de"])
@pytest.mark.parametrize("event", list(Event))
@pytest.mark.parametrize("format", list(WebhookFormat))
def test_each_event_has_a_body_in_each_format(organization, format, event, language):
    body = sent(format, event, language=language)
    text = json.dumps(body, ensure_ascii=False)
    assert "/admin/page/" in text
    assert not re.search(r"\{[a-z_]*\}", text) and "None" not in text
    if format != WebhookFormat.EVENT and event == Event.REQUEST_WAITS:
        expected = "3 seats wait for a decision" if language == "en" else "3 Plätze warten auf eine Entscheidung"
        assert f"Northwind: {expected}" in text


def test_a_slack_message(organization):
    body = sent(WebhookFormat.SLACK)
    assert body["text"] == "Northwind: 3 seats wait for a decision"
    text = body["blocks"][0]["text"]["text"]
    assert text.startswith("*Northwind: 3 seats wait for a decision*\nR-0001: take back seats.\nPlease decide by ")
    assert text.endswith("/admin/page/|Open in LicenseHub>")


def test_no_name_calls_a_channel_or_makes_a_link_in_slack(organization):
    body = sent(WebhookFormat.SLACK, details={"requested_by": ATTACK, "comment": ATTACK})
    text = body["blocks"][0]["text"]["text"]
    assert "<!channel>" not in text and "<https://evil" not in text
    assert "&lt;!channel&gt;" in text


def test_a_teams_card_has_plain_text_only(organization):
    body = sent(WebhookFormat.TEAMS, details={"requested_by": ATTACK})
    card = body["attachments"][0]["content"]
    assert (card["type"], body["attachments"][0]["contentType"]) == (
        "AdaptiveCard",
        "application/vnd.microsoft.card.adaptive",
    )
    assert {block["type"] for block in card["body"]} == {"RichTextBlock"}
    assert any(ATTACK in block["inlines"][0]["text"] for block in card["body"])
    (action,) = card["actions"]
    assert (action["type"], action["url"].endswith("/admin/page/")) == ("Action.OpenUrl", True)


def test_tickets(organization):
    incident = sent(WebhookFormat.SERVICENOW)
    assert incident["short_description"] == "Northwind: 3 seats wait for a decision"
    assert len(incident["correlation_id"]) == 36
    issue = sent(WebhookFormat.JIRA)
    assert issue["fields"]["summary"] == "Northwind: 3 seats wait for a decision"
    assert issue["fields"]["project"] == {"key": "IT"}
    assert issue["fields"]["description"].endswith("/admin/page/")


def test_a_value_cannot_change_what_a_ticket_is(organization):
    """Also not with a placeholder in it, which is not filled once more."""
    own = '{"fields": {"summary": "{title}", "description": "{text}"}}'
    body = sent(WebhookFormat.JIRA, template=own, details={"comment": ATTACK})
    assert set(body) == {"fields"} and set(body["fields"]) == {"summary", "description"}
    assert ATTACK in body["fields"]["description"]


def test_a_title_is_one_short_line(organization):
    organization.profile.__class__.objects.update(organization_name="x" * 180 + "\n y")
    assert len(sent(WebhookFormat.SERVICENOW)["short_description"]) == 150


@pytest.mark.parametrize("template", [SERVICENOW, JIRA])
def test_our_templates_are_right(template):
    check(template)
    assert template in TEMPLATES.values()


WRONG = ("", "[]", "x", '{"a": "{nothing}"}', '{"{nothing}": 1}', "[" * 9000, "1" * 30_000)
# Valid for `json.loads`, and a worker that fills one of them would die of it, or send what is no JSON.
DEADLY = (
    '{"a": NaN}',
    '{"a": 1e999}',
    '{"a": "\\ud800"}',
    f'{{"a": {"1" * 5000}}}',
    f'{{"a": {"[" * 500}{"]" * 500}}}',
)


@pytest.mark.parametrize("template", [*WRONG, *DEADLY])
def test_a_wrong_template_is_refused(template):
    with pytest.raises(BadTemplate):
        check(template)
