"""The page *Company*: who may change it, refused values, the texts that a person then reads, and the audit event."""

from __future__ import annotations

import html
from typing import Any

from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from django.utils.translation import override

from licensehub.audit.models import AuditEvent
from subscriptions.admin.company import preview as page_preview
from subscriptions.company.logo import MAX_BYTES, checked_logo
from subscriptions.company.texts import default_of, keys
from subscriptions.models import Company
from subscriptions.notices.mail_and_page import shared_context
from subscriptions.notices.self_service import page_context
from tests.support.people.notices import Asking, people, text_of
from tests.support.people.profile_states import HOSTILE, ROLES
from tests.support.web.pictures import png

PAGE = "/admin/subscriptions/company/"


def entries(**other: Any) -> dict[str, Any]:
    """The form as it is on a fresh installation, with these changes."""
    words = {"name": "", "contact_name": "", "contact_email": "", "reply_to": "", "seen": "0"}
    return {**words, **{key: default_of(key) for key in keys()}, **other}


def changes() -> list[dict[str, Any]]:
    return [event.data for event in AuditEvent.objects.filter(action="company.changed").order_by("sequence")]


def test_only_a_company_admin_changes_it_and_only_what_differs_is_kept(sign_in, draft):
    for role in ROLES[1:]:
        client = sign_in(role)
        sees = role != "Operator"
        assert client.get(PAGE).status_code == (200 if sees else 403)
        assert client.post(PAGE, entries(name="Mallory Ltd")).status_code == 403
        assert client.post(f"{PAGE}preview/", entries()).status_code == (200 if sees else 403)
        if sees:
            assert "Only a company admin can change this." in text_of(client.get(PAGE))
    assert not Company.objects.exists()

    client = sign_in("Company admin")
    assert "Nothing was changed." in text_of(client.post(PAGE, entries(), follow=True))
    given = entries(name="  Northwind\u202e \r\nGroup ", ask_en_text="Hi {name},\r\n\r\n{activity}", ask_de_subject="")
    assert "The company is saved" in text_of(client.post(PAGE, given, follow=True))
    row = Company.objects.get()
    assert (row.name, row.texts, row.version) == ("Northwind Group", {"ask_en_text": "Hi {name},\n\n{activity}"}, 1)
    assert row.changed_by.username == "company.admin"
    # The sidebar names the company, for everybody.
    assert "Northwind Group" in text_of(sign_in("Approver").get("/admin/"))

    # A second window still shows the former state.
    late = client.post(PAGE, entries(name="Late", seen="0"), follow=True)
    assert "Somebody has changed this page meanwhile" in text_of(late) and 'value="Late"' in late.content.decode()
    client.post(PAGE, entries(name="", contact_name="IT", seen="1"))
    assert changes() == [
        {
            "before": {"name": "", "ask_en_text": ""},
            "after": {"name": "Northwind Group", "ask_en_text": "Hi {name},\n\n{activity}"},
        },
        {
            "before": {"name": "Northwind Group", "ask_en_text": "Hi {name},\n\n{activity}", "contact_name": ""},
            "after": {"name": "", "ask_en_text": "", "contact_name": "IT"},
        },
    ]
    assert client.get(f"{PAGE}preview/").status_code == 405


def test_what_cannot_be_sent_is_refused_with_a_sentence_and_nothing_is_saved(sign_in, db):
    client = sign_in("Company admin")
    for wrong, sentence in (
        ({"reply_to": "it@x.example, all@x.example"}, "Enter one e-mail address"),
        ({"contact_email": "it@x.example\r\nBcc: all@x.example"}, "Enter one e-mail address"),
        ({"ask_de_text": "Hallo {vorname}"}, "{vorname} is no placeholder. These exist: {name}"),
        ({"reminder_en_subject": "Hello {name"}, "A “{” has no matching brace"),
        ({"name": "N" * 101}, "at most 100 characters"),
        ({"logo": SimpleUploadedFile("logo.png", b"<svg onload='alert(1)'/>")}, "Save the logo again as PNG"),
        ({"logo": SimpleUploadedFile("logo.png", b"")}, "This file is empty"),
        ({"logo": SimpleUploadedFile("logo.png", png(8, 3) + bytes(MAX_BYTES))}, "The logo has more than 1000 KB."),
    ):
        page = text_of(client.post(PAGE, entries(**wrong)))
        assert sentence in html.unescape(page) and "Nothing was saved." in page
    assert not Company.objects.exists() and changes() == []


def test_the_logo_is_served_as_a_picture_and_nothing_else(sign_in, db, client):
    admin = sign_in("Company admin")
    admin.post(PAGE, entries(logo=SimpleUploadedFile("logo.html", png(8, 3) + b"<script>", "text/html")))
    row = Company.objects.get()
    address = f"/company/logo/{row.logo_digest}"
    assert address in admin.get(PAGE).content.decode()
    served = client.get(address)
    assert (served.content, served["Content-Type"]) == (checked_logo(png(8, 3)).content, "image/png")
    assert served["Content-Security-Policy"] == "default-src 'none'; sandbox"
    assert served["X-Content-Type-Options"] == "nosniff" and "immutable" in served["Cache-Control"]
    # The logo stays when other fields are saved. When it is removed, its address stops working, too.
    admin.post(PAGE, entries(name="Northwind", seen="1"))
    assert client.get(address).status_code == 200
    admin.post(PAGE, entries(name="Northwind", remove_logo="on", seen="2"))
    assert client.get(address).status_code == client.get("/company/logo/x").status_code == 404
    assert [sorted(change["after"]) for change in changes()] == [["logo"], ["name"], ["logo"]]
    assert changes()[2] == {"before": {"logo": row.logo_digest}, "after": {"logo": ""}}


def test_a_mail_that_is_sent_after_a_change_has_it_and_so_has_the_page(asking: Asking, sign_in, settings):
    request = asking.request(2)
    given = entries(
        name=HOSTILE,
        contact_name="Seat desk",
        contact_email="desk@northwind.example",
        reply_to="answers@northwind.example",
        ask_en_subject="{company}: {license}, {days}",
        ask_en_text="{name} <b>{contact}</b>\n\n{activity}",
        logo=SimpleUploadedFile("logo.png", png(8, 3)),
    )
    sign_in("Company admin").post(PAGE, given)
    assert asking.hand_over() == 2
    person = people(request)[0]
    mail = asking.server.to(person.evidence["email"])[-1]
    assert mail["Subject"].strip() == f"{HOSTILE}: Miro license, 8 days"
    assert (mail["Reply-To"], mail["From"]) == ("answers@northwind.example", settings.DEFAULT_FROM_EMAIL)
    plain, rich = (mail.get_body((kind,)).get_content() for kind in ("plain", "html"))
    assert plain.splitlines()[0] == HOSTILE and "<b>Seat desk</b>" in plain and "desk@northwind.example" in plain
    page = Client().get(asking.link(person)).content.decode()
    for shown in (rich, page):
        assert html.escape(HOSTILE) in shown and HOSTILE not in shown and "&lt;b&gt;Seat desk&lt;/b&gt;" in shown
    assert f'<img src="/company/logo/{Company.objects.get().logo_digest}"' in page
    # The page for a link that does not work also names the company.
    assert html.escape(HOSTILE) in Client().get("/license/nonsense/").content.decode()

    # The preview renders the same templates with the same names.
    context = page_preview._context(Company(), page_preview.NoticeKind.ASK)
    assert {*shared_context(person, deadline=request.requested_at)} <= {*context}
    needed = {*page_context(person, until=request.requested_at, former_address=False)}
    assert needed - {"decided_at", "taken_at", "left_alone_until"} <= {*context}


def test_the_preview_shows_what_is_in_the_form_and_saves_nothing(sign_in, draft):
    client = sign_in("Company admin")

    def shown(**other: Any) -> str:
        return html.unescape(html.unescape(client.post(f"{PAGE}preview/", entries(**other)).content.decode()))

    # The preview stays inside of its frame and cannot change the page.
    raw = client.post(f"{PAGE}preview/", entries(ask_en_text='"><script>alert(1)</script>')).content.decode()
    assert raw.count("<") == raw.count(">") and "<script" not in raw and "<h1" not in raw
    mail = shown(name="Northwind", ask_en_text="Hi {name}!", preview="ask", reply_to="a@x.example")
    assert "Hi Nadia!" in mail and "Northwind" in mail and "<dd>a@x.example</dd>" in mail
    assert "We asked you some days ago" in shown(preview="reminder")
    assert "Keep my license" in shown(preview="page") and "Subject" not in shown(preview="page")
    wrong = shown(ask_en_text="Hi {nmae}!")
    assert "{nmae} is no placeholder" in wrong and "Hi {nmae}" not in wrong
    with override("de"):
        default = default_of("ask_de_subject")
    assert default.split("{")[0] in shown(preview_language="de")
    assert "Frage an {name}" not in shown(preview_language="de", ask_de_subject="Frage an {name}")
    assert "Frage an Nadia" in shown(preview_language="de", ask_de_subject="Frage an {name}")
    assert not Company.objects.exists()
