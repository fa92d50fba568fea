"""The page that protects many people: preview, confirm, and the wrong lines that stay in the field."""

from __future__ import annotations

import re
from datetime import timedelta

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from licensehub.audit.models import AuditEvent
from subscriptions.models import Protection, Subscription
from subscriptions.rules.protections import ProtectionInput, create_protection
from tests.support.people.organization import page, said
from tests.support.web.pages import text_of

MANY = page("protection", "protect_many")
WISH = ProtectionInput("On parental leave", "Petra Meyer")


@pytest.fixture
def send(organization, alice, as_user):
    """Posts lines with the usual details; the answer's page has the fingerprint that confirms them."""
    client = as_user(alice)

    def post(text: str, **changed):
        details = {"profile": organization.profile.pk, "reason": "On leave", "owner": "Petra", "ends_at": ""}
        return client.post(MANY, {**details, "text": text, **changed})

    return post


def fingerprint(answer) -> str:
    [found] = re.findall(r'name="confirmed"\s+value="(\w+)"', answer.content.decode())
    return str(found)


def test_lines_are_previewed_and_then_protected(organization, alice, send):
    create_protection(organization.profile, "person", "person4@northwind.example", WISH, actor=alice)
    last_day = timezone.localdate() + timedelta(days=30)
    text = (
        f"PERSON5@northwind.example; Sabbatical; Omar; {last_day.isoformat()}\n\nperson4@northwind.example\n1006\n"
        "person6@northwind.example\nnew@northwind.example\nnobody here\nperson5@northwind.example\n99\n"
    )

    answer = send(text)

    shown = text_of(answer)
    assert "2 cannot be read" in shown and "“nobody here” is neither" in shown and "line 7" in shown
    assert "Nobody has the ID 99." in shown
    assert "2 new" in shown and "Person 6" in shown
    assert "1 not known at Miro" in shown and "1 protected already" in shown and "2 repeated lines left out" in shown
    assert "Protect 3 people" in shown and Protection.objects.count() == 1

    answer = send(text, confirmed=fingerprint(answer))
    shown = text_of(answer)
    assert "Protected 3 people. 2 people changed verdict." in shown
    assert "Not protected: 2 of the lines. They are left below" in shown
    assert "nobody here\n99</textarea>" in answer.content.decode().replace("\r", "")
    made = {row.external_id: row for row in Protection.objects.exclude(value="person4@northwind.example")}
    assert {row.value for row in made.values()} == {
        "person5@northwind.example",
        "person6@northwind.example",
        "new@northwind.example",
    }
    assert (made["1005"].reason, made["1005"].owner) == ("Sabbatical", "Omar")
    assert timezone.localdate(made["1005"].ends_at) == last_day
    assert (made["1006"].reason, made["1006"].owner, made["1006"].ends_at) == ("On leave", "Petra", None)
    assert AuditEvent.objects.filter(action="protection.created").count() == 4


def test_without_a_wrong_line_the_list_follows(send):
    text = "person5@northwind.example\n"
    answer = send(text, confirmed=fingerprint(send(text)))
    assert answer.url == page("protection", "changelist") and "Protected 1 person." in said(answer)


def test_only_previewed_lines_are_protected(send):
    confirmed = fingerprint(send("person5@northwind.example"))
    for changed in ({"text": "person6@northwind.example"}, {"reason": "Another"}, {"confirmed": "x"}):
        text = changed.pop("text", "person5@northwind.example")
        assert "Nothing is stored yet." in text_of(send(text, **{"confirmed": confirmed, **changed}))
    assert not Protection.objects.exists()


def test_a_file_takes_the_place_of_the_field_and_is_kept_on_an_error(send):
    content = "Adresse;Reason\r\njörg@münchen.example;Kur\r\n".replace("Adresse", "Address").encode("cp1252")
    for extra in ({"ends_at": "soon"}, {}):
        file = SimpleUploadedFile("people.csv", content, content_type="text/csv")
        answer = send("person5@northwind.example", file=file, **extra)
        assert "jörg@münchen.example;Kur" in answer.content.decode()
        assert "person5" not in answer.content.decode()
    shown = text_of(answer)
    assert "1 not known at Miro" in shown


WRONG = [
    ({"text": " \n"}, "Enter at least one line, or choose a file."),
    ({"reason": ""}, "Line 1 has no reason of its own, so enter one here."),
    ({"owner": " "}, "Line 1 has no owner of its own"),
    ({"ends_at": "2020-01-01"}, "This end is in the past"),
    ({"reason": "x" * 501}, "At most 500 characters"),
    ({"profile": "99999"}, "Choose a profile."),
    ({"file": SimpleUploadedFile("a.xlsx", b"PK\x03\x04\0")}, "This is no text file."),
    ({"text": "person5@northwind.example;;;2020-01-01"}, "1 cannot be read"),
]


@pytest.mark.parametrize(("changed", "sentence"), WRONG)
def test_wrong_entries_get_a_sentence_and_stay(send, changed, sentence):
    text = changed.get("text", "person5@northwind.example")
    answer = send(**{"text": text, **changed})

    assert sentence in text_of(answer)
    assert text.strip() in answer.content.decode()
    assert 'name="confirmed"' not in answer.content.decode() and not Protection.objects.exists()


def test_an_auditor_may_not_and_a_get_shows_the_form(carol, alice, as_user, organization):
    assert as_user(carol).get(MANY).status_code == 403
    shown = text_of(as_user(alice).get(MANY))
    assert "One person a line" in shown and "How to write the lines" in shown
    assert "Protect many" in text_of(as_user(alice).get(page("protection", "changelist")))
    assert "Protect many" not in text_of(as_user(carol).get(page("protection", "changelist")))


def test_five_hundred_lines_take_as_many_queries_as_five(send):
    """Set-based: the number of statements does not depend on the number of lines."""
    needed = []
    for count, prefix in ((5, "a"), (500, "b")):
        text = "\n".join(f"{prefix}{number}@northwind.example" for number in range(count))
        confirmed = fingerprint(send(text))
        with CaptureQueriesContext(connection) as queries:
            assert send(text, confirmed=confirmed).status_code == 302
        needed.append(len(queries))
    assert Protection.objects.count() == 505
    assert needed[1] <= needed[0] + 12  # SQLite inserts in several batches
    assert Subscription.objects.count() == 12
