"""The evidence pack: what is in it, the same bytes for the same state, and who makes one."""

from __future__ import annotations

import csv
import hashlib
import io
import json
import shutil
import subprocess
import sys
import threading
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from zipfile import ZipFile

import pytest
from django.core.management import CommandError, call_command
from django.db import connection, transaction
from django.urls import reverse
from django.utils import timezone, translation

from licensehub.audit.actions import Action
from licensehub.audit.anchors.keys import Keys, encoded, new_keys
from licensehub.audit.anchors.write import write_anchor
from licensehub.audit.erase import erase_texts
from licensehub.audit.log import record
from licensehub.audit.models import AuditEvent
from subscriptions.evidence import pack as packs
from subscriptions.evidence import tables
from subscriptions.evidence.pack import PackChanged, make_pack
from subscriptions.evidence.report_pdf import printable
from subscriptions.evidence.scope import Scope, scope_of_period, scope_of_person, scope_of_request
from subscriptions.models import Notice, Reclaim, ReclaimRequest, RequestedRemoval, Subscription
from subscriptions.reclaims import restores
from subscriptions.reclaims.engine import reclaim_due
from tests.support.fixtures import World
from tests.support.restoring import REASON, reclaimed

PROOF = {"events.jsonl", "anchors.jsonl", "public-keys.txt", "verify.py", "manifest.json", "manifest.sig"}
FILES = {table.file for table in tables.TABLES} | {"report.html", "report.pdf"} | PROOF
BESIDE = {"manifest.json", "manifest.sig"}


@pytest.fixture(autouse=True)
def keys(settings) -> Keys:
    made = new_keys()
    settings.ANCHOR_KEYS = ",".join(made.words())
    return made


@pytest.fixture
def done(world: World, alice, bob, request) -> list[Reclaim]:
    """Three people are reclaimed; one of them was asked, and got the seat back."""

    def make() -> None:
        items = reclaimed(world, alice, bob, count=3)
        asked = RequestedRemoval.objects.filter(pk=items[0].removal_id)
        asked.update(answer="release", answered_at=timezone.now())
        Notice.objects.create(
            removal=asked.get(), kind="ask", state="sent", sent_at=timezone.now(), email="=cmd@northwind.example"
        )
        restores.restore(items[0], actor=alice, reason=REASON)
        reclaim_due(world.profile)

    world.cache.scene(request, make, world.sandbox)
    return list(Reclaim.objects.filter(direction="deactivate").order_by("pk"))


def make(scope: Scope, *, language: str = "en", actor=None) -> bytes:
    file = io.BytesIO()
    make_pack(scope, file, language=language, actor=actor)
    return file.getvalue()


@contextmanager
def opened(data: bytes) -> Iterator[ZipFile]:
    with ZipFile(io.BytesIO(data)) as files:
        yield files


def rows(files: ZipFile, name: str) -> list[dict[str, str]]:
    text = files.read(name).decode()
    return [json.loads(line) for line in text.splitlines()] if "jsonl" in name else [*csv.DictReader(io.StringIO(text))]


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
        assert full["evidence"] == done[0].removal.evidence and full["signature"] == done[0].removal.signature
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


@pytest.fixture
def profile_event(world):
    def write(target=None) -> None:
        with transaction.atomic():
            record(Action.PROFILE_CHANGED, actor=None, target=target or world.profile)

    return write


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
    pdf = packs.as_pdf

    def slow(report):
        profile_event(target=request)
        return pdf(report)

    monkeypatch.setattr(packs, "as_pdf", slow)
    file = io.BytesIO()
    with pytest.raises(PackChanged, match="Make the pack again"):
        make_pack(scope_of_request(request), file, language="en", actor=None)
    assert not AuditEvent.objects.filter(action="evidence.pack_made").exists()


def test_a_pack_is_of_one_moment_where_the_database_can_read_one(real_transactions, organization, alice, monkeypatch):
    """In a busy company, events come all the time. Control: without `_one_state`, PostgreSQL refuses the pack, too."""
    request = organization.ask(alice, count=2)
    pdf = packs.as_pdf

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
    monkeypatch.setattr(packs, "as_pdf", slow)
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


def verify(path: Path, *options: str) -> subprocess.CompletedProcess[str]:
    """The verifier of the pack, by a Python that knows nothing of LicenseHub."""
    script = path / "verify.py"
    command = [sys.executable, "-I", str(script), *options]
    return subprocess.run(command, capture_output=True, text=True, cwd=path, env={"PATH": "/nowhere"})


def zipped(folder: Path, name: Path) -> Path:
    with ZipFile(name, "w") as files:
        for file in folder.iterdir():
            files.write(file, file.name)
    return name


def test_the_verifier_of_the_pack_says_what_is_proved_and_names_what_was_changed(done, tmp_path, keys, profile_event):
    request = done[0].removal.request
    profile_event()
    anchor = write_anchor()
    profile_event()
    key = encoded(keys.signing.public_key().public_bytes_raw())
    folder = tmp_path / "pack"
    with opened(make(scope_of_request(request))) as files:
        files.extractall(folder)
    report = (folder / "report.html").read_text()
    assert f"at event #{anchor.sequence}" in report and "Only plausible: no" not in report
    lines = [json.loads(line) for line in (folder / "events.jsonl").read_text().splitlines()]
    last = scope_of_request(request).last_event()
    assert (lines[0]["last"], last) == (anchor.sequence, anchor.sequence - 1)
    # Other events are there without their content.
    assert "digest" in lines[-1] and "profile.changed" not in (folder / "events.jsonl").read_text()

    said = verify(folder, ".", "--key", key)
    assert said.returncode == 0, said.stdout + said.stderr
    assert f"Proved up to #{anchor.sequence} by the anchor" in said.stdout and "Everything fits." in said.stdout
    assert "are those that LicenseHub made: the manifest is signed" in said.stdout and said.stderr == ""
    assert "The keys are those of the file itself" in verify(folder, ".").stderr
    assert verify(folder, str(zipped(folder, tmp_path / "whole.zip")), "--key", key).returncode == 0

    def tampered(says: str, change: Callable[[Path], object]) -> None:
        copy = tmp_path / "tampered"
        shutil.copytree(folder, copy)
        change(copy)
        found = verify(folder, str(copy), "--key", key)
        assert found.returncode == 1 and says in found.stdout, f"{says}: {found.stdout}{found.stderr}"
        found = verify(folder, str(zipped(copy, tmp_path / "tampered.zip")), "--key", key)
        assert found.returncode == 1 and says in found.stdout
        shutil.rmtree(copy)

    def edit(name: str, old: str, new: str) -> Callable[[Path], object]:
        def change(copy: Path) -> None:
            text = (copy / name).read_text()
            assert old in text
            (copy / name).write_text(text.replace(old, new))

        return change

    def again(copy: Path) -> None:
        """Edit a file as somebody does who knows the format: the manifest fits again."""
        edit("people.csv", "Inactive", "Active")(copy)
        manifest = json.loads((copy / "manifest.json").read_text())
        manifest["files"]["people.csv"]["sha256"] = hashlib.sha256((copy / "people.csv").read_bytes()).hexdigest()
        (copy / "manifest.json").write_text(json.dumps(manifest))

    def unsigned(copy: Path) -> None:
        again(copy)
        (copy / "manifest.sig").unlink()

    def own_keys(copy: Path) -> None:
        again(copy)
        theirs = new_keys()
        (copy / "manifest.sig").write_text(packs.sign_manifest((copy / "manifest.json").read_bytes(), theirs))
        (copy / "public-keys.txt").write_text(encoded(theirs.signing.public_key().public_bytes_raw()))

    def one_event_less(copy: Path) -> None:
        again(copy)
        kept = (copy / "events.jsonl").read_text().splitlines()
        (copy / "events.jsonl").write_text("\n".join(kept[:-2] + kept[-1:]))

    tampered("The file calls.csv was changed", edit("calls.csv", "Verified", "Refused"))
    tampered("The file report.html was changed", edit("report.html", "bob", "eve"))
    tampered("The file restores.csv is missing", lambda copy: (copy / "restores.csv").unlink())
    tampered("The file events.jsonl is missing", lambda copy: (copy / "events.jsonl").unlink())
    tampered("The file more.csv was added", lambda copy: (copy / "more.csv").write_text("x"))
    for change in (again, unsigned, own_keys):
        tampered("The manifest is not signed with a known key", change)
    tampered("FINDING, deleted", one_event_less)
    tampered("FINDING, edited", edit("events.jsonl", '"actor_name": "bob"', '"actor_name": "eve"'))
    tampered("is not signed with a known key", edit("anchors.jsonl", '"count":', '"count":1'))
    # A spreadsheet that opens the file twice in the zip shows only one of them.
    twice = zipped(folder, tmp_path / "twice.zip")
    with warnings.catch_warnings(), ZipFile(twice, "a") as files:
        warnings.simplefilter("ignore")
        files.writestr("people.csv", "nobody")
    assert "FINDING, file" in verify(folder, str(twice), "--key", key).stdout


def test_without_an_anchor_or_a_key_the_pack_says_so(done, settings, tmp_path):
    settings.ANCHOR_KEYS, settings.ANCHOR_KEY_FILE = "", tmp_path / "none"
    with opened(make(scope_of_request(done[0].removal.request))) as files:
        assert "manifest.sig" not in files.namelist()
        assert "Only plausible: no anchor is later" in files.read("report.html").decode()
        files.extractall(tmp_path / "pack")
    said = verify(tmp_path / "pack", ".")
    assert said.returncode == 0 and "Only plausible from" in said.stdout and "It is not signed" in said.stdout


def test_erased_texts_are_no_finding(done, tmp_path, keys, alice):
    from django.db import transaction

    request = done[0].removal.request
    sequences = list(scope_of_request(request).events.values_list("sequence", flat=True))[:3]
    with transaction.atomic():
        erase_texts(sequences, actor=alice, why="Asked for")
    write_anchor()
    with opened(make(scope_of_request(request))) as files:
        files.extractall(tmp_path / "pack")
    said = verify(tmp_path / "pack", ".", "--key", encoded(keys.signing.public_key().public_bytes_raw()))
    assert said.returncode == 0, said.stdout + said.stderr


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
