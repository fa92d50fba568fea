"""The evidence pack: what is in it, the same bytes for the same state, and who makes one."""

from __future__ import annotations

import hashlib
import io
import json
import threading
from datetime import timedelta
from zipfile import ZipFile

import pytest
from django.core.management import CommandError, call_command
from django.db import connection, transaction
from django.urls import reverse
from django.utils import timezone, translation

from licensehub.audit.actions import Action
from licensehub.audit.log import record
from licensehub.audit.models import AuditEvent
from subscriptions.evidence import report_pdf
from subscriptions.evidence.pack import PackChanged, make_pack
from subscriptions.evidence.report_pdf import printable
from subscriptions.evidence.scope import scope_of_period, scope_of_person, scope_of_request
from subscriptions.models import Reclaim, ReclaimRequest, Subscription
from tests.support.packs import BESIDE, FILES, make, opened, rows
from tests.support.people.restoring import REASON


def test_a_request_has_everything_that_followed_from_it(done, world, carol):
    request = done[0].removal.request
    with opened(make(scope_of_request(request), actor=carol)) as files:
        assert set(files.namelist()) == FILES
        asked, restored = rows(files, "requests.jsonl")
        assert (asked["request"], asked["requested_by"], asked["decided_by"]) == (request.number, "alice", "bob")
        assert (restored["direction"], restored["reason"], restored["decided_by"]) == ("reactivate", REASON, "")
        people = rows(files, "people.csv")
        assert [one["vendor_id"] for one in people] == [
            *(item.subscription.external_id for item in done),
            done[0].subscription.external_id,
        ]
        assert people[0]["why"] == done[0].removal.evidence["why"] and people[0]["last_activity_at"].endswith("+00:00")
        (full, *_) = rows(files, "evidence.jsonl")
        assert full["evidence"] == done[0].removal.evidence and full["signature"] == done[0].signature
        calls = rows(files, "calls.csv")
        sent = [step for step in world.miro.truth()["transitions"] if step["by"] == "scim"]
        assert [(one["vendor_id"], one["http_status"], one["state"]) for one in calls] == [
            (step["id"], "200", "done") for step in sent
        ]
        assert [one["read_back"] for one in rows(files, "read_back.csv")] == ["inactive"] * 3 + ["active"]
        assert [(one["restores"], one["result"]) for one in rows(files, "restores.csv")] == [
            (request.number, "Verified")
        ]
        assert [one["answer"] for one in rows(files, "answers.csv")] == ["Released it"]
        # A spreadsheet must not run what a person has typed.
        assert rows(files, "questions.csv")[0]["email"] == "'=cmd@northwind.example"
        manifest = json.loads(files.read("manifest.json"))
        assert {name: entry["sha256"] for name, entry in manifest["files"].items()} == {
            name: hashlib.sha256(files.read(name)).hexdigest() for name in FILES - BESIDE
        }
        html = files.read("report.html").decode()
        assert "ISO/IEC 27001:2022, A.5.18" in html and "supports the controls" in html and "fulfills" not in html
        assert done[0].removal.evidence["email"] in html
        made = AuditEvent.objects.get(action="evidence.pack_made")
        assert (made.actor_name, made.target_label, made.data["subject"]) == ("carol", request.number, "request")
        assert made.data["manifest_sha256"] == hashlib.sha256(files.read("manifest.json")).hexdigest()
        assert made.data["as_of"] == manifest["as_of"] == made.sequence - 1


def test_the_same_state_gives_the_same_bytes(done, alice, carol, profile_event):
    request, person = done[0].removal.request, done[0].subscription
    today = timezone.localdate()
    yesterday = (today - timedelta(days=1), today - timedelta(days=1))
    scopes = (
        lambda: scope_of_request(request),
        lambda: scope_of_person(person),
        lambda: scope_of_period(*yesterday),
    )
    first = [make(scope(), actor=carol) for scope in scopes]
    # Later, by somebody else who reads German in another time zone, after events that do not belong to it.
    profile_event()
    with translation.override("de"), timezone.override("Asia/Tokyo"):
        assert [make(scope(), actor=alice) for scope in scopes] == first
    in_german = make(scopes[0](), language="de")
    assert in_german == make(scopes[0](), language="de") != first[0]
    with opened(in_german) as german, opened(first[0]) as english:
        assert {name for name in FILES if german.read(name) != english.read(name)} == {
            *("report.html", "report.pdf", "manifest.json", "manifest.sig")
        }
        assert '<html lang="de">' in german.read("report.html").decode()
    # An event that belongs to it makes it another pack.
    profile_event(target=request)
    assert make(scopes[0]()) != first[0]


def test_a_person_and_a_period_have_their_own_rows_only(done, world, alice, bob):
    person = done[1].subscription
    with opened(make(scope_of_person(person))) as files:
        assert {one["vendor_id"] for one in rows(files, "people.csv")} == {person.external_id}
        assert len(rows(files, "calls.csv")) == 1
        text = "".join(files.read(name).decode() for name in FILES - {"report.pdf", "verify.py"})
    others = Subscription.objects.exclude(pk=person.pk).exclude(email="")
    # The approval is of all its people, so their ids may be in the event; their names and addresses are not.
    assert [row.email for row in others if row.email in text] == []
    today = timezone.localdate()
    for first, last, number in ((today, today, 2), (today + timedelta(days=1), today + timedelta(days=9), 0)):
        with opened(make(scope_of_period(first, last))) as files:
            assert len(rows(files, "requests.jsonl")) == number


def test_events_that_come_meanwhile_refuse_the_pack(done, profile_event, monkeypatch):
    request = done[0].removal.request
    pdf = report_pdf.as_pdf

    def slow(report):
        profile_event(target=request)
        return pdf(report)

    monkeypatch.setattr(report_pdf, "as_pdf", slow)
    file = io.BytesIO()
    with pytest.raises(PackChanged, match="Make the pack again"):
        make_pack(scope_of_request(request), file, language="en", actor=None)
    assert not AuditEvent.objects.filter(action="evidence.pack_made").exists()


def test_a_pack_is_of_one_moment_where_the_database_can_read_one(real_transactions, organization, alice, monkeypatch):
    """In a busy company, events come all the time. Control: without `_one_state`, PostgreSQL refuses the pack, too."""
    request = organization.ask(alice, count=2)
    pdf = report_pdf.as_pdf

    def write() -> None:
        with transaction.atomic():
            record(Action.PROFILE_CHANGED, actor=None, target=request)
        connection.close()

    def slow(report):
        writer = threading.Thread(target=write)
        writer.start()
        writer.join()
        return pdf(report)

    before = scope_of_request(request).last_event()
    monkeypatch.setattr(report_pdf, "as_pdf", slow)
    file = io.BytesIO()
    if connection.vendor == "sqlite":
        with pytest.raises(PackChanged):
            make_pack(scope_of_request(request), file, language="en", actor=None)
        return
    assert make_pack(scope_of_request(request), file, language="en", actor=None).as_of == before
    with opened(file.getvalue()) as files:
        assert json.loads(files.read("manifest.json"))["as_of"] == before
        assert "profile.changed" not in files.read("events.jsonl").decode()


def test_only_readers_of_the_audit_make_packs(done, alice, bob, carol, dave, as_user):
    request, person = done[0].removal.request, done[0].subscription
    for model, row in (("reclaimrequest", request), ("subscription", person)):
        address = reverse(f"admin:subscriptions_{model}_evidence_pack", args=[row.pk])
        page = reverse(f"admin:subscriptions_{model}_change", args=[row.pk])
        for user in (alice, bob, dave):
            assert as_user(user).post(address).status_code == 403
        assert "Evidence pack" not in as_user(bob).get(page).content.decode()
        assert "Download the pack" in as_user(carol).get(page).content.decode()
        assert as_user(carol).get(address).status_code == 405, "no link or prefetch makes one"
        answer = as_user(carol).post(address, {"language": "de"})
        with opened(b"".join(answer.streaming_content)) as files:
            assert "Nachweise" in files.read("report.html").decode()
        assert answer["Content-Disposition"].startswith('attachment; filename="evidence-')
    assert AuditEvent.objects.filter(action="evidence.pack_made", actor_name="carol").count() == 2


def test_command(done, tmp_path):
    request, person = done[0].removal.request, done[0].subscription
    today = f"{timezone.localdate()}"
    for arguments, name in (
        ([request.number], f"evidence-{request.number}-en.zip"),
        (["--person", person.email.upper(), "--language", "de"], f"evidence-person-{person.external_id}-de.zip"),
        (["--from", today, "--to", today], f"evidence-{today}-to-{today}-en.zip"),
    ):
        out = io.StringIO()
        call_command("evidence_pack", *arguments, "--output", str(tmp_path), stdout=out)
        assert f"{tmp_path / name}: as of event" in out.getvalue()
        with ZipFile(tmp_path / name) as files:
            assert files.testzip() is None and set(files.namelist()) == FILES
    assert [path.name for path in tmp_path.glob(".*")] == []
    for wrong, says in (
        ([], "Name one request"),
        (["R-9999"], "There is no request R-9999"),
        (["--person", "nobody@example.com"], "Nobody has the address"),
        (["--from", today], "A period has a first day"),
    ):
        with pytest.raises(CommandError, match=says):
            call_command("evidence_pack", *wrong, "--output", str(tmp_path))


def test_large_tables_are_read_in_parts_and_the_report_says_what_it_leaves_out(done, monkeypatch):
    monkeypatch.setattr("subscriptions.evidence.report.MAX_ROWS", 2)
    monkeypatch.setattr("subscriptions.evidence.report_pdf.MAX_ROWS", 1)
    with opened(make(scope_of_request(done[0].removal.request))) as files:
        assert len(rows(files, "people.csv")) == 4
        assert "2 more rows are in people.csv." in files.read("report.html").decode()


def test_letters_that_the_font_lacks():
    assert printable("Zoë Müller, Łukasz Śliwa, Ngô Đức") == "Zoë Müller, Łukasz Sliwa, Ngô Duc".replace(
        "D", printable("Đ")
    )
    assert printable("山田") == printable("□") * 2


def test_requests_that_follow_are_found(organization, alice, bob):
    """A restore, and the restore of what was repeated, belong to the first request; others do not."""
    first, other = organization.ask(alice, count=2), organization.ask(alice, count=2)
    assert list(scope_of_request(first).requests) == [first]
    item = Reclaim.objects.create(
        profile=organization.profile,
        subscription=first.removals.first().candidate.subscription,
        removal=first.removals.first(),
        state="in_doubt",
    )
    repeat = ReclaimRequest.objects.create(
        profile=organization.profile, requested_by=alice, repeats=item, expires_at=timezone.now()
    )
    assert list(scope_of_request(first).requests) == [first, repeat]
    assert list(scope_of_request(other).requests) == [other]
