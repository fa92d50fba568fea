"""Settings of the company: of two saves at once one counts, and no text can break a mail."""

from __future__ import annotations

from typing import Any

import pytest

from licensehub.audit.models import AuditEvent
from subscriptions.company import company as saving
from subscriptions.company.company import CompanyInput, save_company
from subscriptions.company.texts import default_of, keys
from subscriptions.errors import NotActionable, Refused
from subscriptions.models import Company

READ = saving.company


def wanted(name: str, **texts: str) -> CompanyInput:
    return CompanyInput(
        name=name, contact_name="", contact_email="", reply_to="", texts={key: texts.get(key, "") for key in keys()}
    )


@pytest.mark.parametrize("seen", [0, 1], ids=["the first save", "a later one"])
def test_of_two_saves_at_once_one_is_refused(alice, bob, monkeypatch, seen):
    """Both have read the same version. The second one overwrites nothing, and its transaction ends."""
    if seen:
        save_company(wanted("Northwind"), seen=0, actor=alice)

    def saved_meanwhile() -> Company:
        row = READ()
        monkeypatch.setattr(saving, "company", READ)
        save_company(wanted("Of Alice"), seen=seen, actor=alice)
        return row

    monkeypatch.setattr(saving, "company", saved_meanwhile)
    with pytest.raises(NotActionable, match="changed this page meanwhile"):
        save_company(wanted("Of Bob"), seen=seen, actor=bob)
    assert not Company.objects.exclude(name="Northwind").exists()
    assert not AuditEvent.objects.filter(action="company.changed", actor_name="bob").exists()


def test_a_text_that_would_break_a_mail_is_refused_or_mended(alice):
    """The function checks the texts itself, since the form is not its only caller."""
    with pytest.raises(Refused, match="no placeholder"):
        save_company(wanted("Northwind", ask_en_text="Hello {nmae}"), seen=0, actor=alice)
    assert not Company.objects.exists()
    given: dict[str, Any] = {
        "ask_en_subject": "Do you\r\nBcc: all@x.example\u202e need it?",
        "ask_en_text": "Hello.\r\n\r\nBye.",
        "reminder_de_text": default_of("reminder_de_text"),
    }
    save_company(wanted("North\r\nwind", **given), seen=0, actor=alice)
    row = Company.objects.get()
    assert row.name == "North wind"
    assert row.texts == {"ask_en_subject": "Do you Bcc: all@x.example need it?", "ask_en_text": "Hello.\n\nBye."}
