"""Attacks on evidence packs that LicenseHub keeps: taken by others, too late, or exchanged in the database."""

from __future__ import annotations

import io
from datetime import timedelta
from zipfile import ZipFile

import pytest
from django.db.models import F
from django.test import Client
from django.urls import reverse

from licensehub.audit.anchors.keys import new_keys
from licensehub.audit.models import AuditEvent
from licensehub.sign_in import step_up
from subscriptions import tasks
from subscriptions.admin.evidence import packs
from subscriptions.evidence import kept_packs, scope
from subscriptions.evidence.pack import PackChanged, make_pack
from subscriptions.evidence.scope import scope_of_request
from subscriptions.models import EvidencePack, EvidencePackPart, ReclaimRequest
from tests.support.fixtures import person
from tests.support.web.pages import text_of


@pytest.fixture(autouse=True)
def all_are_long(db, settings, monkeypatch) -> list[int]:
    """Each pack is a long one. Returns the packs for which a worker was called; there is no broker here."""
    settings.ANCHOR_KEYS = ",".join(new_keys().words())
    called: list[int] = []
    monkeypatch.setattr(scope, "LONG_PEOPLE", 0)
    monkeypatch.setattr(packs, "enqueue_task", lambda task, pk: called.append(pk))
    monkeypatch.setattr(tasks, "enqueue_task", lambda task, pk: called.append(pk))
    return called


@pytest.fixture
def asked(organization, alice) -> ReclaimRequest:
    return organization.ask(alice, count=2)


def browser_of(user) -> Client:
    """A browser in which somebody has just confirmed who they are."""
    client = Client()
    client.force_login(user)
    return client


def ask(client: Client, request: ReclaimRequest) -> EvidencePack:
    answer = client.post(reverse("admin:subscriptions_reclaimrequest_evidence_pack", args=[request.pk]))
    pack = EvidencePack.objects.latest("pk")
    assert answer["Location"] == page_of(pack)
    return pack


def page_of(pack: EvidencePack, part: str = "") -> str:
    return reverse(f"admin:audit_auditevent_pack{part}", args=[pack.pk])


def download(client: Client, pack: EvidencePack) -> bytes:
    """The file, as the browser gets it: the button, then what the page loads."""
    assert client.post(page_of(pack, "_file"))["Location"] == page_of(pack)
    assert f'content="0; url={page_of(pack, "_file")}"' in text_of(client.get(page_of(pack)))
    return b"".join(client.get(page_of(pack, "_file")).streaming_content)


def events(action: str) -> list[tuple[str, str]]:
    found = AuditEvent.objects.filter(action=action).order_by("sequence")
    return [(event.actor_name, event.data["manifest_sha256"]) for event in found]


def test_a_long_pack_is_made_by_a_worker_and_has_the_same_bytes(asked, carol, all_are_long):
    client = browser_of(carol)
    pack = ask(client, asked)
    assert ask(client, asked) == pack, "many clicks ask for one pack"
    assert all_are_long == [pack.pk] * 2 and not EvidencePackPart.objects.exists()
    waiting = text_of(client.get(page_of(pack)))
    assert "This pack waits for a worker" in waiting and "Download the pack" not in waiting
    live = f"{page_of(pack, '_live')}?was=waiting"
    assert "HX-Refresh" not in client.get(live)
    tasks.make_evidence_pack(pack.pk)
    tasks.make_evidence_pack(pack.pk)
    assert client.get(live)["HX-Refresh"] == "true"
    pack.refresh_from_db()
    file = io.BytesIO()
    made = make_pack(scope_of_request(asked), file, language="en", actor=None)
    assert download(client, pack) == file.getvalue() and (pack.name, pack.digest) == (made.name, made.digest)
    assert events("evidence.pack_made") == [("carol", pack.digest), ("LicenseHub", pack.digest)]
    assert events("evidence.pack_downloaded") == [("carol", pack.digest)]
    lately = text_of(client.get(reverse("admin:audit_auditevent_evidence")))
    assert f'<a class="lh-link" href="{page_of(pack)}">{asked.number}</a>' in lately
    # The file is removed when its time is over, at the latest by the sweep a minute later.
    hours = pack.ends_at - pack.asked_at
    assert timedelta(hours=23, minutes=59) < hours < timedelta(hours=24, minutes=1)
    EvidencePack.objects.update(ends_at=F("asked_at"))
    assert client.post(page_of(pack, "_file")).status_code == 302
    assert client.get(page_of(pack, "_file"))["Location"] == page_of(pack)
    assert len(events("evidence.pack_downloaded")) == 1
    assert kept_packs.remove_due() == 1 and not EvidencePackPart.objects.exists()
    assert "The file was removed" in text_of(client.get(page_of(pack)))


def test_nobody_else_gets_the_file_and_no_link_takes_it(asked, carol, all_are_long):
    """Controls: without `_own`, without the line of the step-up, or with a GET that hands out, each of them gets it."""
    client = browser_of(carol)
    pack = ask(client, asked)
    tasks.make_evidence_pack(pack.pk)
    for user, status in ((person("grace", "Auditor"), 404), (person("rae", "Approver"), 403)):
        other = browser_of(user)
        for address in (page_of(pack), page_of(pack, "_live"), page_of(pack, "_file")):
            assert (other.get(address).status_code, other.post(address).status_code) == (status, status)
    # A link or a prefetch in the right browser, too: the button comes before.
    assert client.get(page_of(pack, "_file"))["Location"] == page_of(pack)
    # Who signed in long ago confirms who it is.
    session = client.session
    session[step_up.CONFIRMED] -= 301
    session.save()
    assert "Confirm that it is you" in text_of(client.post(page_of(pack, "_file")), status=403)
    assert events("evidence.pack_downloaded") == []
    # The right is asked again.
    carol.groups.clear()
    assert browser_of(carol).post(page_of(pack, "_file")).status_code == 403
    waiting = EvidencePack.objects.create(asked_by=carol, language="en", request=asked)
    tasks.make_evidence_pack(waiting.pk)
    waiting.refresh_from_db()
    assert (waiting.state, waiting.problem) == ("failed", kept_packs.NO_RIGHT)


@pytest.mark.parametrize("how", ["edited", "another", "cut", "signed by a stranger"])
def test_a_file_that_was_exchanged_in_the_database_is_not_handed_out(how, organization, alice, carol, asked, settings):
    """Control: without `_is_ours` the auditor gets the forged file from LicenseHub."""
    client = browser_of(carol)
    pack = ask(client, asked)
    tasks.make_evidence_pack(pack.pk)
    whole = b"".join(bytes(part) for part in EvidencePackPart.objects.values_list("data", flat=True))
    ours, file = settings.ANCHOR_KEYS, io.BytesIO()
    if how == "edited":
        with ZipFile(io.BytesIO(whole)) as old, ZipFile(file, "w") as new:
            for name in old.namelist():
                new.writestr(name, old.read(name).replace(b"alice", b"mallory"))
    elif how == "cut":
        file.write(whole[: len(whole) // 2])
    else:
        if how == "signed by a stranger":
            settings.ANCHOR_KEYS = ",".join(new_keys().words())
        about = organization.ask(alice, count=1) if how == "another" else asked
        make_pack(scope_of_request(about), file, language="en", actor=None)
        settings.ANCHOR_KEYS = ours
    EvidencePackPart.objects.all().delete()
    EvidencePackPart.objects.create(pack=pack, number=0, data=file.getvalue())
    assert client.post(page_of(pack, "_file")).status_code == 302
    assert client.get(page_of(pack, "_file"))["Location"] == page_of(pack)
    page = text_of(client.get(page_of(pack)))
    assert "somebody changed it in the database" in page and "Download the pack" not in page
    assert not EvidencePackPart.objects.exists()


def test_a_worker_that_dies_or_takes_too_long_leaves_no_pack_lying(asked, carol, bob, all_are_long, monkeypatch):
    packs_asked = [ask(browser_of(carol), asked)]
    other = EvidencePack.objects.create(asked_by=carol, language="de", request=asked)
    assert kept_packs.packs_to_make() == [packs_asked[0].pk]

    def dies(*args, **kwargs):
        raise MemoryError

    with monkeypatch.context() as patch:
        patch.setattr(kept_packs, "write_pack", dies)
        for number in range(kept_packs.MAX_TRIES):
            with pytest.raises(MemoryError):
                kept_packs.make_asked(packs_asked[0].pk)
            # One at a time, so that packs do not hold up the sends.
            assert kept_packs.packs_to_make() == [], number
            EvidencePack.objects.update(lease_until=F("asked_at"))
    tasks.make_evidence_pack(packs_asked[0].pk)
    packs_asked[0].refresh_from_db()
    assert (packs_asked[0].state, packs_asked[0].problem) == ("failed", kept_packs.NOT_MADE)
    assert "manage.py evidence_pack" in text_of(browser_of(carol).get(page_of(packs_asked[0])))

    def too_long(*args, **kwargs):
        raise tasks.SoftTimeLimitExceeded

    def changed(*args, **kwargs):
        raise PackChanged("changed")

    for error, state in ((changed, "waiting"), (too_long, "failed")):
        monkeypatch.setattr(kept_packs, "write_pack", error)
        tasks.make_evidence_pack(other.pk)
        other.refresh_from_db()
        assert other.state == state
    assert other.problem == kept_packs.TOO_LONG
    # Nobody fills the queue.
    for day in range(kept_packs.MAX_WAITING):
        EvidencePack.objects.create(asked_by=carol, language="en", first=f"2026-01-0{day + 1}", last="2026-02-01")
    answer = browser_of(carol).post(
        reverse("admin:subscriptions_reclaimrequest_evidence_pack", args=[asked.pk]), follow=True
    )
    assert "still making other packs" in text_of(answer)
