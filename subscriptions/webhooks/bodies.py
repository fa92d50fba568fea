"""The body of a delivery, in the format of its webhook."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any, Final

from django.utils import translation
from django.utils.translation import gettext as _

from integrations.models import WebhookDelivery, WebhookFormat
from subscriptions.webhooks.messages import Message, link_of, message_of
from subscriptions.webhooks.templates import TEMPLATES, filled

# The version of the signed event. It grows when a field changes its meaning, and not when one is added.
VERSION: Final = 1
MAX_TITLE: Final = 150  # characters; Jira takes 255, ServiceNow 160


def body_of(row: WebhookDelivery) -> bytes:
    """The body. The same row gives the same body, unless a profile was renamed. Raises BadTemplate."""
    with translation.override(row.webhook.language):
        return FORMATS[WebhookFormat(row.webhook.format)](row)


def _event(row: WebhookDelivery) -> bytes:
    profile = {"id": row.profile.pk, "name": row.profile.name} if row.profile else None
    body = {
        "id": str(row.event_id),
        "type": row.event,
        "version": VERSION,
        "occurred_at": row.occurred_at.isoformat(),
        "profile": profile,
        "url": link_of(row),
        "data": row.content["data"],
    }
    if "details" in row.content:
        body["details"] = row.content["details"]
    return _json(body)


def _slack(row: WebhookDelivery) -> bytes:
    """A message for an incoming webhook: https://docs.slack.dev/messaging/sending-messages-using-incoming-webhooks"""
    said = message_of(row)
    label = _("Open in LicenseHub")
    link = f"<{_escaped(said.link)}|{_escaped(label)}>"
    text = "\n".join([f"*{_escaped(said.subject)}*", *map(_escaped, said.lines), link])
    section = {"type": "section", "text": {"type": "mrkdwn", "text": text[:3000]}}
    return _json({"text": _escaped(said.subject), "blocks": [section]})


def _escaped(text: str) -> str:
    """The text without Slack's markup: a name could be a link, or call everybody in the channel."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _teams(row: WebhookDelivery) -> bytes:
    """An adaptive card for a workflow of Teams. A TextRun is plain text; a TextBlock would read a name as Markdown.

    https://adaptivecards.io/explorer/RichTextBlock.html
    """
    said = message_of(row)
    card = {
        "$schema": "http://adaptivecards.io/schemas/adaptive-card.json",
        "type": "AdaptiveCard",
        "version": "1.4",
        "body": [_block(said.subject, weight="Bolder", size="Medium"), *(_block(line) for line in said.lines)],
        "actions": [{"type": "Action.OpenUrl", "title": _("Open in LicenseHub"), "url": said.link}],
    }
    kind = "application/vnd.microsoft.card.adaptive"
    return _json({"type": "message", "attachments": [{"contentType": kind, "contentUrl": None, "content": card}]})


def _block(text: str, **look: str) -> dict[str, Any]:
    return {"type": "RichTextBlock", "inlines": [{"type": "TextRun", "text": text, **look}]}


def _ticket(row: WebhookDelivery) -> bytes:
    said: Message = message_of(row)
    values = {
        "title": " ".join(said.subject.split())[:MAX_TITLE],
        "text": "\n".join(said.lines),
        "url": said.link,
        "event": row.event,
        "event_id": str(row.event_id),
        "profile": said.profile,
        "occurred_at": row.occurred_at.isoformat(),
    }
    return filled(row.webhook.template or TEMPLATES[row.webhook.format], values)


def _json(body: Mapping[str, Any]) -> bytes:
    return json.dumps(body, ensure_ascii=False).encode()


FORMATS: Final[Mapping[WebhookFormat, Callable[[WebhookDelivery], bytes]]] = {
    WebhookFormat.EVENT: _event,
    WebhookFormat.SLACK: _slack,
    WebhookFormat.TEAMS: _teams,
    WebhookFormat.SERVICENOW: _ticket,
    WebhookFormat.JIRA: _ticket,
}
