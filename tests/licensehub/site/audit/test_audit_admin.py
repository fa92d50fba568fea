"""The list of the audit log."""

from __future__ import annotations

import html

from django.db import transaction
from django.urls import reverse

from licensehub.audit.actions import Action
from licensehub.audit.log import record
from tests.support.web.pages import text_of


def test_details_are_texts_and_json_as_they_were_signed(admin_client, organization, bob):
    """Control: with `{value}` alone, it shows a list, a boolean and nothing as Python writes them."""
    data = {"file": "a.yaml", "sections": ["webhooks"], "known": True}
    with transaction.atomic():
        record(Action.CONFIGURATION_APPLIED, actor=bob, target=bob, data=data)
    shown = html.unescape(text_of(admin_client.get(reverse("admin:audit_auditevent_changelist"))))
    assert all(part in shown for part in ("file: a.yaml", 'sections: ["webhooks"]', "known: true"))
