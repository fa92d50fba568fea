"""An auditor of one profile looks for another one in evidence packs: in their files, their events, and by address.

Controls: without `_about_profiles`, or without `seen_by` in `scope_of` of kept packs, the packs of a period name people
of the other profile; with each event that lists erased texts in the extract, its reason does.
"""

from __future__ import annotations

import io
import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import date, timedelta
from pathlib import Path
from typing import Any
from zipfile import ZipFile

import pytest
from django.contrib.auth.models import User
from django.db import transaction
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from licensehub.audit.anchors.keys import encoded, new_keys
from licensehub.audit.anchors.write import write_anchor
from licensehub.audit.erase import erase_texts
from licensehub.audit.models import AuditEvent
from subscriptions import tasks
from subscriptions.admin.evidence import packs
from subscriptions.approvals import decide
from subscriptions.evidence import kept_packs, scope
from subscriptions.models import EvidencePack, ReclaimRequest, Subscription
from tests.support.fixtures import person
from tests.support.packs import FILES, make, rows
from tests.support.people.organization import Organization, limited_to, page, said
from tests.support.web.pages import text_of

CHOSEN = reverse("admin:audit_auditevent_evidence_pack")
EVIDENCE = reverse("admin:audit_auditevent_evidence")


@pytest.fixture
def key(settings) -> str:
    keys = new_keys()
    settings.ANCHOR_KEYS = ",".join(keys.words())
    return encoded(keys.signing.public_key().public_bytes_raw())


@pytest.fixture
def decided(key, organization: Organization, us: Organization, alice, bob) -> tuple[ReclaimRequest, ReclaimRequest]:
    """A request of each profile, one after the other, between events of the other one; all are proved."""
    theirs = us.ask(alice, count=1, reason="Closing the ranch")
    mine = organization.ask(alice, count=2)
    more = us.ask(alice, count=2, reason="Closing the ranch")
    # This account decides for both.
    bob = limited_to(bob, organization.profile, us.profile)
    decide.reject(more, actor=bob, comment="The ranch stays")
    decide.approve(mine, actor=bob)
    decide.approve(theirs, actor=bob)
    events = AuditEvent.objects.filter(target_type="subscriptions.reclaimrequest", target_id=more.pk)
    with transaction.atomic():
        erase_texts(list(events.values_list("pk", flat=True)[:1]), actor=None, why="The ranch was sold.")
    assert write_anchor()
    return mine, theirs


@pytest.fixture
def auditor(organization, carol, as_user) -> Client:
    client: Client = as_user(limited_to(carol, organization.profile))
    return client


def days() -> tuple[date, date]:
    today = timezone.localdate()
    return today - timedelta(days=1), today + timedelta(days=1)


def of_days() -> dict[str, str]:
    return dict(zip(("first", "last"), map(str, days()), strict=True))


def download(client: Client, address: str, **form: str) -> bytes:
    answer: Any = client.post(address, form)
    assert answer.headers.get("Content-Type") == "application/zip", said(answer)
    return b"".join(answer.streaming_content)


def texts(data: bytes) -> Iterator[tuple[str, str]]:
    """Each file of a pack as text, and the names of the files. The PDF is made of the same report as the HTML."""
    with ZipFile(io.BytesIO(data)) as files:
        yield "names", " ".join(files.namelist())
        for name in files.namelist():
            yield name, files.read(name).decode(errors="replace")


def words_of(us: Organization) -> set[str]:
    """Return what only the other profile has: names, addresses, vendor's ids, texts."""
    people = Subscription.objects.filter(profile=us.profile)
    found = {us.profile.name, us.profile.organization_id, "ranch", "Ranch"}
    return found | {word for row in people for word in (row.name, row.email, f'"{row.external_id}"') if word}


def leaks(data: bytes, us: Organization) -> list[tuple[str, str]]:
    return [(name, word) for name, text in texts(data) for word in words_of(us) if word in text]


def proved(data: bytes, folder: Path, key: str) -> str:
    """Return what the verifier of the pack says, by a Python that knows nothing of LicenseHub."""
    folder.mkdir()
    with ZipFile(io.BytesIO(data)) as files:
        files.extractall(folder)
    command = [sys.executable, "-I", str(folder / "verify.py"), ".", f"--key={key}"]
    done = subprocess.run(command, capture_output=True, text=True, cwd=folder, env={"PATH": "/nowhere"})
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_a_pack_of_a_request_a_person_and_some_days_says_nothing_of_another_profile(
    decided, organization, us, auditor, as_user, key, tmp_path
):
    mine, _theirs = decided
    member = mine.removals.first().candidate.subscription
    wanted: dict[str, Callable[[Client], bytes]] = {
        "request": lambda client: download(client, page("reclaimrequest", "evidence_pack", mine.pk)),
        "person": lambda client: download(client, page("subscription", "evidence_pack", member.pk)),
        "days": lambda client: download(client, CHOSEN, **of_days()),
        "named": lambda client: download(client, CHOSEN, about=mine.number),
    }
    second = as_user(limited_to(person("grace", "Auditor"), organization.profile))
    made = {name: ask(auditor) for name, ask in wanted.items()}
    for name, data in made.items():
        assert leaks(data, us) == [], name
        said = proved(data, tmp_path / name, key)
        assert "Everything fits." in said and "the manifest is signed" in said, name
        # The same bytes, also for another auditor of the profile.
        assert wanted[name](second) == data, name
        with ZipFile(io.BytesIO(data)) as files:
            assert set(files.namelist()) == FILES
            assert json.loads(files.read("manifest.json"))["profiles"] == [organization.profile.pk]
            assert {row["request"] for row in rows(files, "requests.jsonl")} == {mine.number}, name
            assert rows(files, "requests.jsonl")[0]["decides_for"] == "Northwind and other profiles"
            assert "What belongs to other profiles is not in this pack" in files.read("report.html").decode()
            lines = [json.loads(line) for line in files.read("events.jsonl").decode().splitlines()[1:]]
            foreign = [line for line in lines if "digest" in line]
            assert foreign and all(set(line) == {"sequence", "digest", "hash"} for line in foreign), name
    assert made["request"] == made["named"] != made["days"]
    # The control: the pack of somebody for all profiles has all of it.
    whole = make(scope.scope_of_period(*days()))
    found = {word for _file, word in leaks(whole, us)}
    assert {us.profile.name, "ranch"} <= found and len(found) > 6


def test_what_belongs_to_the_profile_is_there(decided, organization, auditor):
    """Each event about a request, a candidate or a reclaim of the profile has its content."""
    with ZipFile(io.BytesIO(download(auditor, CHOSEN, **of_days()))) as files:
        lines = [json.loads(line) for line in files.read("events.jsonl").decode().splitlines()[1:]]
    there = {(line["target_type"], line["target_id"]) for line in lines if "digest" not in line}
    candidates = organization.profile.candidates.values_list("pk", flat=True)
    assert {("subscriptions.removalcandidate", pk) for pk in candidates} <= there
    assert ("subscriptions.reclaimrequest", decided[0].pk) in there
    assert not {kind for kind, _pk in there} & {"auth.user", "audit.chainhead", "integrations.sendingcontrol"}


def test_a_request_and_a_person_of_another_profile_are_like_none(decided, us, auditor):
    theirs = decided[1]
    ranchers = Subscription.objects.filter(profile=us.profile)
    for address in (
        page("reclaimrequest", "evidence_pack", theirs.pk),
        page("subscription", "evidence_pack", ranchers[0].pk),
    ):
        assert auditor.post(address).status_code == 404
    for about in (theirs.number, ranchers[0].email):
        answer = auditor.post(CHOSEN, {"about": about}, follow=True)
        assert "No request and no person has the name" in text_of(answer)
    assert not AuditEvent.objects.filter(action="evidence.pack_made").exists()


def test_the_page_has_the_packs_only(decided, us, auditor):
    shown = text_of(auditor.get(EVIDENCE))
    assert "Download the pack" in shown and "Your packs have the rows and events of your profiles" in shown
    assert "Verify history" not in shown and "Anchor" not in shown
    assert f'href="{EVIDENCE}"' in text_of(auditor.get(reverse("admin:index"))), "the menu leads there"
    for address in ("audit_auditevent_changelist", "audit_auditevent_verifier", "audit_auditevent_export"):
        arguments = ["csv"] if address.endswith("export") else []
        assert auditor.get(reverse(f"admin:{address}", args=arguments)).status_code == 403, address
    assert auditor.post(reverse("admin:audit_auditevent_verify")).status_code == 403


@pytest.fixture
def _long(monkeypatch) -> None:
    monkeypatch.setattr(scope, "LONG_EVENTS", 0)
    monkeypatch.setattr(packs, "enqueue_task", lambda task, pk: None)


def file_of(pack: EvidencePack) -> bytes:
    with kept_packs.kept_file(pack) as file:
        return file.read()


def test_a_pack_by_a_worker_is_for_the_same_profiles(decided, organization, us, auditor, carol, _long, key, tmp_path):
    """A worker has no reader of its own."""
    auditor.post(CHOSEN, of_days())
    pack = EvidencePack.objects.get()
    tasks.make_evidence_pack(pack.pk)
    pack.refresh_from_db()
    assert (pack.state, pack.profiles) == ("ready", str(organization.profile.pk))
    data = file_of(pack)
    assert leaks(data, us) == [] and "Everything fits." in proved(data, tmp_path / "pack", key)
    address = reverse("admin:audit_auditevent_pack", args=[pack.pk])
    assert auditor.get(address).status_code == 200
    # The account has other profiles now.
    limited_to(carol, us.profile)
    assert auditor.get(address).status_code == 404
    assert auditor.post(f"{address}file/").status_code == 404
    assert "Long packs that you asked for" not in text_of(auditor.get(EVIDENCE))


def test_a_pack_of_all_profiles_ends_with_a_narrower_scope(decided, organization, carol, as_user, _long):
    client: Client = as_user(carol)
    client.post(CHOSEN, of_days())
    ready = EvidencePack.objects.get()
    tasks.make_evidence_pack(ready.pk)
    client.post(CHOSEN, of_days())
    waiting = EvidencePack.objects.latest("pk")
    assert waiting.profiles == "all"
    limited_to(carol, organization.profile)
    tasks.make_evidence_pack(waiting.pk)
    waiting.refresh_from_db()
    assert (waiting.state, waiting.problem) == ("failed", kept_packs.NO_RIGHT)
    client = as_user(User.objects.get(pk=carol.pk))
    for pack in (ready, waiting):
        assert client.get(reverse("admin:audit_auditevent_pack", args=[pack.pk])).status_code == 404
