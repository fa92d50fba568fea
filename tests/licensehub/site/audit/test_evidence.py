"""The page *Evidence*: what the last verification found, for everybody who reads the audit."""

from __future__ import annotations

import compileall
import re

from django.contrib.auth.models import User
from django.db import connection
from django.urls import reverse
from django.utils.html import strip_tags

from licensehub.audit.actions import Action
from licensehub.audit.anchors.keys import new_keys
from licensehub.audit.anchors.write import write_anchor
from licensehub.audit.models import AuditEvent, ChainHead
from licensehub.audit.triggers import create, drop
from licensehub.site.audit import evidence
from licensehub.site.audit.evidence import Section
from licensehub.ui.time_zones import company_day
from subscriptions.evidence.rows.comparison import check_rows
from tests.support.people.profile_states import ROLES

PAGE, VERIFY = "/admin/audit/auditevent/evidence/", "/admin/audit/auditevent/verify/"
VERIFIER = "/admin/audit/auditevent/verifier/"


def text(answer) -> str:
    return " ".join(strip_tags(answer.content.decode()).split())


def test_who_reads_the_audit_verifies_it(published, sign_in, tmp_path):
    for role in (*ROLES, ""):
        client = sign_in(role)
        user = User.objects.get(pk=client.session["_auth_user_id"])
        expected = 200 if user.has_perm("audit.view_auditevent") else 403
        answers = [client.get(PAGE), client.post(VERIFY, follow=True), client.get(VERIFIER)]
        assert [answer.status_code for answer in answers] == [expected] * 3, role
    assert client.get(VERIFY).status_code in (403, 405)
    client = sign_in("Auditor")
    assert client.get(VERIFY).status_code == 405
    (tmp_path / "verify.py").write_bytes(client.get(VERIFIER).content)
    assert compileall.compile_file(tmp_path / "verify.py", quiet=1)


def test_what_was_verified(published, sign_in, settings, tmp_path):
    settings.ANCHOR_KEYS = " ".join(new_keys().words())
    settings.ANCHOR_FILE = tmp_path / "anchors.jsonl"
    client = sign_in("Auditor")
    assert "Not verified yet" in text(client.get(PAGE))
    unproved = text(client.post(VERIFY, follow=True))
    # As many as were verified. The event of the verification itself came later.
    assert f"Events: {ChainHead.objects.get().sequence - 1}, " in unproved
    assert f"{ChainHead.objects.get().sequence - 1} plausible" in unproved and "plausible since" not in unproved
    write_anchor()
    events = AuditEvent.objects.count()
    page = text(client.post(VERIFY, follow=True))
    assert (
        f"Events: {events}, anchors: 1, other rows: {check_rows()[1]}." in page
        and "The chain of events is unbroken" in page
    )
    assert f"{events} events proved up to" in page and "plausible since" not in page and "Nothing was altered" in page
    said = AuditEvent.objects.filter(action=Action.AUDIT_VERIFIED).latest("sequence")
    assert (said.data["events"], said.data["findings"], said.actor_name) == (events, [], said.actor_name)


def test_events_after_the_verification_are_not_called_plausible(published, sign_in):
    """Nobody has looked at them: somebody may have written them past LicenseHub."""
    client = sign_in("Auditor")
    page = text(client.post(VERIFY, follow=True))
    verified = ChainHead.objects.get().sequence - 1
    assert f"{verified} plausible" in page and "not verified yet" not in page
    for _turn in range(2):
        client.get("/admin/subscriptions/downloadrun/export/")
    page = text(client.get(PAGE))
    assert f"{verified} plausible" in page and "2 newer events are not verified yet." in page


def test_what_was_changed(published, sign_in, monkeypatch):
    """The findings stay on the page, in the language of the reader, and a forged verification is not believed."""
    client = sign_in("Auditor")
    drop(connection)
    AuditEvent.objects.filter(sequence=2).update(actor_name="somebody else")
    monkeypatch.setattr(
        evidence, "CHECKS", [lambda: (["The head of the chain does not fit: it has another hash than #3."], 7)]
    )
    page = text(client.post(VERIFY, follow=True))
    assert (
        "2 things are not as LicenseHub wrote them" in page
        and "Changed: #2. The content does not fit the hash." in page
    )
    assert "other rows: 7." in page and "it has another hash than #3" in page
    assert "The chain of events does not fit" in page and "No event is proved" in page and "not proved" in page
    page = text(client.get(PAGE, headers={"accept-language": "de"}))
    assert "Geändert: #2. Der Inhalt passt nicht zum Hash." in page
    last = AuditEvent.objects.filter(action=Action.AUDIT_VERIFIED).get()
    AuditEvent.objects.filter(pk=last.pk).update(data={**last.data, "findings": [], "found": 0, "broken": 0})
    create(connection)
    assert "Not verified yet" in text(client.get(PAGE))


def test_a_large_audit_is_verified_by_the_command(published, sign_in, monkeypatch):
    monkeypatch.setattr(evidence, "MAX_EVENTS", 1)
    page = text(sign_in("Auditor").post(VERIFY, follow=True))
    assert "An operator does it with manage.py verify_audit" in page and "Not verified yet" in page


def test_others_add_cards(published, sign_in, monkeypatch):
    card = "admin/audit/auditevent/verify.html"
    sections = [Section(card, lambda request: {"shown": 1}), Section(card, lambda request: {}, aside=True)]
    monkeypatch.setattr(evidence, "SECTIONS", sections)
    page = sign_in("Auditor").get(reverse("admin:audit_auditevent_evidence")).content.decode()
    assert len(re.findall("Each event is cryptographically linked", page)) == 1


def test_a_pack_of_what_was_typed(published, sign_in):
    client = sign_in("Auditor")
    address = reverse("admin:audit_auditevent_evidence_pack")
    today = company_day().isoformat()
    pack = client.post(address, {"first": today, "last": today, "language": "en"})
    assert pack["Content-Type"] == "application/zip" and b"".join(pack.streaming_content).startswith(b"PK")
    for wrong, said in (
        ({"about": "R-99999"}, "No request and no person has the name R-99999."),
        ({"about": "R-" + "9" * 40}, "No request and no person has the name R-999"),
        ({"about": "nobody@x.example"}, "No request and no person has the name nobody@x.example."),
        ({"first": today, "last": "2020-01-01"}, "The last day cannot be before the first"),
        ({"first": "9999-12-31", "last": "9999-12-31"}, "The last day cannot be before the first"),
        ({}, "Enter a request or a person"),
    ):
        assert said in text(client.post(address, wrong, follow=True)), wrong
    assert client.get(address).status_code == 405
    assert sign_in("Operator").post(address, {"about": "R-1"}).status_code == 403
