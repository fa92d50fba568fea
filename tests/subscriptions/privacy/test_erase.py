"""A person who has left is erased: no table has the name or an address any more, and the audit stays provable."""

from __future__ import annotations

import io
import json
import re
from datetime import timedelta
from zipfile import ZipFile

import pytest
from django.contrib.auth.models import User
from django.core.management import CommandError, call_command
from django.db import connection
from django.urls import reverse
from django.utils import timezone

from integrations import sending
from licensehub.audit.models import AuditEvent
from licensehub.ui.models import SavedView
from subscriptions.approvals import decide
from subscriptions.approvals.request import request_reclaim
from subscriptions.approvals.undo import take_back_rejection
from subscriptions.errors import NotActionable, Refused
from subscriptions.evidence import kept_packs
from subscriptions.models import (
    AccountPerson,
    ActivitySnapshot,
    Erasure,
    EvidencePack,
    EvidencePackPart,
    Notice,
    Notification,
    Protection,
    Reclaim,
    ReclaimRequest,
    Reconciliation,
    RemovalCandidate,
    RequestedRemoval,
    SearchText,
    Subscription,
)
from subscriptions.privacy.erase import ask_for_erasure, erase
from subscriptions.privacy.person import Words
from subscriptions.privacy.retention import erase_due, note_due
from subscriptions.reclaims.engine import reclaim_due
from subscriptions.rules.protections import ProtectionInput, protect_people
from tests.support.audit_chain import verify_chain
from tests.support.fixtures import World
from tests.support.people.restoring import reclaimed

NAME, EMAIL, FORMER = "Zoë O'Malley-Süß", "zoe.suess@northfield.example", "zoe.omalley@northfield.example"


def everything() -> str:
    """The text of all columns of all tables, as people would find it with a search."""
    texts = []
    with connection.cursor() as cursor:
        for table in connection.introspection.table_names(cursor):
            cursor.execute(f'SELECT * FROM "{table}"')  # noqa: S608 - the database's own names
            texts += [f"{table}: {row}" for row in cursor.fetchall()]
    # JSON has escapes for letters that are not ASCII, and an address percent signs.
    text = re.sub(r"\\+u([0-9a-f]{4})", lambda found: chr(int(found[1], 16)), "\n".join(texts))
    return text.replace("%40", "@").replace("\\'", "'").casefold()


def places_of(word: str) -> list[str]:
    return [line[:90] for line in everything().split("\n") if word.casefold() in line]


@pytest.fixture
def left(world: World, alice, bob, carol) -> Subscription:
    """A person about whom everything is held that can be, and who has left the organization since."""
    world.first_download()
    candidate = world.candidates(1).get()
    row = Subscription.objects.get(pk=candidate.subscription_id)
    Subscription.objects.filter(pk=row.pk).update(name=NAME, email=EMAIL, given_name="Zoë")
    SearchText.objects.filter(subscription=row).update(text=f"{NAME} {EMAIL}".casefold(), address=EMAIL)
    candidate.evidence |= {"name": NAME, "email": EMAIL}
    candidate.person_text = f"{NAME} {EMAIL}".casefold()
    candidate.save()
    (item,) = reclaimed(world, alice, bob, count=1)
    assert item.subscription_id == row.pk
    removal = item.removal
    ReclaimRequest.objects.filter(pk=removal.request_id).update(reason=f"{NAME} has left", comment=f"ask {EMAIL}?")
    Notice.objects.create(removal=removal, kind="ask", state="failed", email=FORMER, problem=f"550 <{FORMER}> unknown")
    run = row.changed_run
    ActivitySnapshot.objects.create(subscription=row, run=run, email=FORMER)
    wish = ProtectionInput(reason=f"{NAME} is on leave", owner="HR")
    protect_people(world.profile, [Subscription.objects.get(pk=row.pk)], wish, actor=alice)
    boss = Subscription.objects.exclude(pk=row.pk).first()
    Subscription.objects.filter(pk=boss.pk).update(manager=NAME)
    SavedView.objects.create(of_list="x", name=NAME, owner=alice, query="q=zoe.suess%40northfield.example&license=full")
    Notification.objects.create(kind="attention", key="k", profile=world.profile, text=f"Look at {NAME}.")
    findings = [{"kind": "active", "external_id": row.external_id, "person": NAME, "detail": EMAIL.upper()}]
    Reconciliation.objects.create(profile=world.profile, findings=findings)
    user = User.objects.create_user("zs17", EMAIL, None, first_name="Zoë", last_name="O'Malley-Süß", is_active=False)
    AccountPerson.objects.create(
        user=user, kind="miro_enterprise", organization_id="1", external_id=row.external_id, email=EMAIL
    )
    world.miro.change(row.external_id, removed=True)
    world.download()
    Subscription.objects.filter(pk=row.pk).update(employee_number="E-17")  # a download may replace it
    return Subscription.objects.get(pk=row.pk)


def test_no_table_has_the_name_or_the_address_and_what_happened_stays(left, world, alice, bob, carol):
    for word in (NAME, EMAIL, FORMER):
        assert len(places_of(word)) >= 2, f"the test shows something only if {word} was there"
    removal = RequestedRemoval.objects.get(candidate__subscription=left, request__direction="deactivate")
    others = {row.pk: row.name for row in Subscription.objects.exclude(pk=left.pk)}
    pack = EvidencePack.objects.create(asked_by=carol, language="en", subscription=left)
    kept_packs.make_asked(pack.pk)
    assert EvidencePackPart.objects.exists()
    events = AuditEvent.objects.count()

    result = erase(ask_for_erasure(left, actor=alice, reason="Asked by mail on November 3"))

    assert [places_of(word) for word in (NAME, EMAIL, FORMER, "Zoë", "E-17")] == [[], [], [], [], []]
    assert not EvidencePackPart.objects.exists(), "a kept pack names the person"
    assert verify_chain().findings == []
    assert AuditEvent.objects.count() > events, "no event is gone"
    assert result.events == AuditEvent.objects.filter(salt="").count() > 5
    item = Reclaim.objects.get(removal=removal)
    assert (item.state, item.subscription.display_name) == ("done", f"Member {left.external_id}")
    removal.refresh_from_db()
    kept = removal.evidence
    assert (kept["external_id"], kept["name"], kept["email"]) == (left.external_id, "", "") and kept["idle_days"] > 60
    assert removal.request.reason == "(erased) has left" and removal.request.decided_by == bob
    assert SavedView.objects.get().query == "license=full"
    protection = Protection.objects.get()
    assert (protection.value, protection.external_id) == ("", left.external_id), "it still covers the id"
    assert {row.pk: row.name for row in Subscription.objects.exclude(pk=left.pk)} == others
    said = AuditEvent.objects.filter(action="person.erased").get()
    assert said.target_label == f"Member {left.external_id}" and said.data["reason"] == "Asked by mail on November 3"
    # The next download knows nothing of this person.
    world.download()
    assert places_of(EMAIL) == []
    with pytest.raises(NotActionable, match="already erased"):
        erase(Erasure.objects.get())


def test_who_cannot_be_erased(left, world, alice):
    def refused(says: str, reason: str = "Asked by mail") -> None:
        with pytest.raises(Refused, match=says):
            ask_for_erasure(Subscription.objects.get(pk=left.pk), actor=alice, reason=reason)
        assert not Erasure.objects.exists()

    refused("Enter a reason", reason="  ")
    refused("names the person", reason=f"{NAME.upper()} asked")
    User.objects.filter(username="zs17").update(is_active=True)
    refused("has the account zs17")
    User.objects.filter(username="zs17").update(is_active=False)
    ReclaimRequest.objects.update(state="open", decided_by=None, decided_at=None)
    refused("is not finished")
    ReclaimRequest.objects.update(state="rejected")
    refused("its rejection can still be taken back")
    ReclaimRequest.objects.update(expires_at=timezone.now())
    Subscription.objects.filter(pk=left.pk).update(gone_at=None)
    refused("still in the organization “Northwind”")
    Subscription.objects.filter(pk=left.pk).update(gone_at=timezone.now())
    asked = ask_for_erasure(left, actor=alice, reason="Asked by mail")
    with pytest.raises(NotActionable, match="already asked for"):
        ask_for_erasure(left, actor=alice, reason="Asked again")
    # Back meanwhile: nothing is erased, and the row says why.
    Subscription.objects.filter(pk=left.pk).update(gone_at=None)
    assert erase_due(seconds=9)[0] == 0
    asked.refresh_from_db()
    assert "still in the organization" in asked.problem and places_of(NAME)


def test_what_others_wait_for_keeps_its_text_until_its_end(left, world, alice, bob):
    """Somebody has the same name, a reason mentions the person, and so does the reason of a switch."""
    asked = ask_for_erasure(left, actor=alice, reason="Asked by mail")
    namesake = world.candidates(1).get()
    RemovalCandidate.objects.filter(pk=namesake.pk).update(evidence=namesake.evidence | {"name": NAME})
    of_namesake = request_reclaim(world.candidates(1), actor=alice, reason="True-up")
    decide.approve(of_namesake, actor=bob)

    def postponed(says: str) -> None:
        before = (everything(), AuditEvent.objects.filter(salt="").count())
        with pytest.raises(Refused, match=says):
            erase(asked)
        asked.refresh_from_db()
        assert asked.done_at is None and re.search(says, asked.problem)
        Erasure.objects.update(problem="")
        assert (everything(), AuditEvent.objects.filter(salt="").count()) == before

    postponed(f"{of_namesake} still needs it")
    assert reclaim_due(world.profile).reclaimed == 1
    mentioning = request_reclaim(world.candidates(2), actor=alice, reason=f"Of the team of {NAME}")
    postponed(f"{mentioning} still needs it")
    decide.reject(mentioning, actor=bob, comment="Later")
    postponed(f"{mentioning} still needs it")
    take_back_rejection(ReclaimRequest.objects.get(pk=mentioning.pk), actor=bob)
    decide.approve(ReclaimRequest.objects.get(pk=mentioning.pk), actor=bob)
    assert reclaim_due(world.profile).reclaimed == 2
    sending.stop_all(actor=bob, reason=f"{NAME} asked us to")
    postponed("a switch that stops sending")
    sending.allow_all(actor=bob)
    assert erase(asked).events > 5
    mentioning.refresh_from_db()
    assert mentioning.reason == "Of the team of (erased)"
    assert not Reclaim.objects.exclude(state="done").exists()


def test_who_left_long_ago_is_erased_at_night(left, settings, monkeypatch):
    assert note_due() == 0, "nobody by default"
    settings.GONE_PEOPLE_DAYS = 90
    assert note_due() == 0
    Subscription.objects.filter(pk=left.pk).update(gone_at=timezone.now() - timedelta(days=91))
    assert (note_due(), note_due()) == (1, 0)
    with monkeypatch.context() as runtime_user:
        runtime_user.setattr("subscriptions.privacy.retention.may_erase", lambda: False)
        assert erase_due(seconds=9) == (0, []), "without the rights it waits for the command"
    assert erase_due(seconds=9) == (1, []) and places_of(NAME) == []
    assert Erasure.objects.get().reason == "Left more than 90 days ago."
    assert note_due() == 0


def test_pages_and_command(left, alice, bob, carol, as_user, monkeypatch):
    boss = User.objects.create_superuser("root", "root@northwind.example", "a long password")
    page = reverse("admin:subscriptions_subscription_change", args=[left.pk])
    export = reverse("admin:subscriptions_subscription_personal_data", args=[left.pk])
    ask = reverse("admin:subscriptions_subscription_erase", args=[left.pk])
    for user in (alice, bob, carol):
        assert "Personal data" not in as_user(user).get(page).content.decode()
        assert {as_user(user).post(address).status_code for address in (export, ask)} == {403}
    client = as_user(boss)
    assert "Ask for the erasure" in client.get(page).content.decode() and client.get(ask).status_code == 405
    with ZipFile(io.BytesIO(b"".join(client.post(export).streaming_content))) as files:
        data, html = json.loads(files.read("data.json")), files.read("data.html").decode()
    assert [name for name, rows in data.items() if not rows] == ["downloads"]
    text = json.dumps(data, ensure_ascii=False)
    assert [word for word in (NAME, EMAIL, FORMER, "E-17") if word not in text] == [] and EMAIL in html
    assert '"decided_by"' not in text and "password" not in text
    assert AuditEvent.objects.filter(action="person.exported", actor_name="root").exists()

    client.post(ask, {"reason": "Asked by mail"})
    assert "The erasure was asked for on" in client.get(page).content.decode()
    with monkeypatch.context() as runtime_user:
        runtime_user.setattr("subscriptions.management.commands.erase_people.may_erase", lambda: False)
        with pytest.raises(CommandError, match="Only the owner"):
            call_command("erase_people")
    out = io.StringIO()
    call_command("erase_people", stdout=out)
    assert out.getvalue() == "People erased: 1.\n" and places_of(EMAIL) == []
    shown = client.get(page).content.decode()
    assert "Erased on" in shown and f"Member {left.external_id}" in shown


def test_words_are_found_in_any_form_and_never_inside_of_others():
    words = Words(["Ann Lee", "ann.lee@x.example", "Ann"])
    assert words.cleaned("ANN LEE wrote to Ann.Lee@X.example, Ann") == "(erased) wrote to (erased), Ann"
    for other in ("Joann Lee", "Ann Leeds", "joann.lee@x.example", "ann.lee@x.example.org", "Annie"):
        assert words.cleaned(other) == other
    assert words.cleaned({"a": ["Ann Lee", 3, None]}) == {"a": ["(erased)", 3, None]}
    assert words.cleaned_query("q=ann.lee%40x.example&o=1") == "o=1"
    assert Words(["Zoë Süß"]).cleaned("Zoe\u0308 Su\u0308ß") == "(erased)"
    assert Words([]).cleaned("Ann Lee") == "Ann Lee"
