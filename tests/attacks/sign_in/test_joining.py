"""An inviter who sees the link joins in place of the person, to decide with the account. Each test does it."""

from __future__ import annotations

from datetime import timedelta
from io import StringIO

import pytest
from django.contrib.auth.models import Group, User
from django.core import mail
from django.core.mail.backends import smtp
from django.core.management import CommandError, call_command
from django.db import connection
from django.test import Client
from django.urls import reverse

from integrations.mail_config import NOWHERE
from licensehub.audit.models import AuditEvent
from licensehub.audit.triggers import create, drop
from subscriptions.accounts import rights, rights_changes
from subscriptions.errors import NotActionable, Refused
from subscriptions.evidence.scope import scope_of_request
from subscriptions.models import RightsChange
from subscriptions.notifications.accounts import rights_mail
from subscriptions.sweep import repair
from tests.support.fixtures import person
from tests.support.packs import make, opened, rows
from tests.support.people.organization import Organization, page, request_url, seen
from tests.support.people.rights import happened_earlier
from tests.support.web import exports
from tests.support.web.account_pages import a_day_later, change_for, invite, join, press, role, save, signed_in
from tests.support.web.pages import text_of

NEW_PASSWORD = "a password that Mallory knows"


@pytest.fixture
def no_mail_server(settings) -> None:
    settings.EMAIL_BACKEND = NOWHERE[0]


def may_decide(user: User) -> bool:
    return rights.may(User.objects.get(pk=user.pk), rights.DECIDE)


def long_ago() -> None:
    """All events happened 31 days earlier: no account is tied any more."""
    happened_earlier(AuditEvent.objects.all(), timedelta(days=31))


def send(client: Client, user: User) -> str:
    """A test has one transaction, after whose end the form would send the invitation; so the button does it."""
    return text_of(client.post(reverse("admin:auth_user_invite", args=[user.pk]), follow=True))


def invited(client: Client, name: str, *roles: str) -> User:
    user = invite(client, name, *roles)
    send(client, user)
    return user


def shown(client: Client, user: User) -> str:
    return text_of(client.get(page("rightschange", "change", change_for(user).pk)))


@pytest.mark.usefixtures("no_mail_server")
def test_the_link_that_the_inviter_sees_gives_no_right_to_decide(bob, mallory, as_mallory):
    """Control: without the checks of `has_joined` or of `openers`, Mallory decides with this account."""
    second = person("second", "Company admin")
    zoe = invite(as_mallory, "zoe", "Approver")
    answer = send(as_mallory, zoe)
    assert (
        "/welcome/" in answer and "a second admin or an operator at the console has confirmed it afterwards" in answer
    )
    # A second admin who confirms in good faith, before anybody has joined.
    assert "zoe@northwind.example has not joined" in press(signed_in(second), "confirm", change_for(zoe))
    assert "Zoe Ghost has not joined" in shown(signed_in(second), zoe)
    a_day_later()
    with pytest.raises(CommandError, match="has not joined, so somebody else could still use the link"):
        call_command("confirm_account", zoe.username)
    with pytest.raises(NotActionable, match="has not joined"):
        rights_changes.follow(actor=None, at_once=rights_changes.CONSOLE)
    assert not may_decide(zoe)

    join(zoe)
    for _day in range(2):
        a_day_later()
    assert not may_decide(zoe)
    said = shown(signed_in(second), zoe)
    assert "mallory saw the link of the invitation, or set the password, and so could sign in as Zoe Ghost." in said
    assert "So this right takes effect only when a second admin confirms it" in said
    # The second admin has asked Zoe.
    assert "in effect now" in press(signed_in(second), "confirm", change_for(zoe))
    assert may_decide(zoe)
    [event] = AuditEvent.objects.filter(action="rights.took_effect", target_id=zoe.pk)
    joined = AuditEvent.objects.get(action="user.joined")
    assert event.data["seen_by"] == ["mallory"] and joined.at.isoformat().startswith(event.data["joined_at"][:-1])


@pytest.mark.usefixtures("real_rights")
@pytest.mark.parametrize("mails", [True, False])
def test_the_first_approver_of_an_installation_is_confirmed_at_the_console(
    organization: Organization, alice, mallory, as_mallory, workers_called, settings, mails
):
    """One admin who installs LicenseHub. The mails reach nobody else, so a day proves nothing."""
    settings.EMAIL_BACKEND = settings.EMAIL_BACKEND if mails else NOWHERE[1]
    first = invited(as_mallory, "first", "Approver")
    assert not may_decide(first)
    as_first = join(first)
    a_day_later()
    assert not may_decide(first)
    assert mails == ("No mail reached anybody else" in shown(as_mallory, first))
    asked = organization.ask(mallory)
    said = StringIO()
    call_command("confirm_account", first.username, stdout=said)
    assert "is confirmed, and may decide" in said.getvalue()
    as_first.post(request_url("approve", asked), seen(asked))
    asked.refresh_from_db()
    assert (asked.state, asked.decided_by) == ("approved", first)
    with opened(make(scope_of_request(asked))) as files:
        since = rows(files, "requests.jsonl")[0]["decides_since"]
    assert since.startswith("Set up at the console. Joined at 20")
    assert ("mallory saw the link or the password before." in since) != mails


def test_a_mailed_link_and_a_day_are_enough_when_others_were_told(bob, mallory, as_mallory):
    """Also when the person joins later than that. Control of the tests above."""
    zoe = invited(as_mallory, "zoe", "Approver")
    rights_mail.announce()
    [message] = [one for one in mail.outbox if one.to == ["bob@northwind.example"]]
    assert "when a second admin confirms it after the person has joined" in message.body
    a_day_later()
    assert not may_decide(zoe)
    join(zoe)
    assert "The link of the invitation was mailed to zoe@northwind.example" in shown(signed_in(bob), zoe)
    repair()
    assert may_decide(zoe)


def test_a_mail_to_a_ghost_of_the_inviter_tells_nobody(mallory, as_mallory):
    """Control: without `involved`, the mail to the accomplice counts."""
    accomplice = invited(as_mallory, "accomplice", "Company admin")
    join(accomplice)
    zoe = invited(as_mallory, "zoe", "Approver")
    join(zoe)
    a_day_later()
    assert not may_decide(zoe)


@pytest.mark.parametrize("seen", ["link", "password", "a refused mail"])
def test_a_way_in_that_an_admin_saw_counts_when_the_role_comes_later(
    bob, mallory, as_mallory, settings, monkeypatch, seen
):
    """First a role that decides nothing, then the way in, and the right a month later."""
    with monkeypatch.context() as broken:
        if seen == "link":
            settings.EMAIL_BACKEND = NOWHERE[0]
        elif seen == "a refused mail":
            settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
            broken.setattr(smtp.EmailBackend, "open", refuse)
        zoe = invited(as_mallory, "zoe", "Auditor")
    settings.EMAIL_BACKEND = "django.core.mail.backends.locmem.EmailBackend"
    join(zoe)
    if seen == "password":
        typed = {"password1": NEW_PASSWORD, "password2": NEW_PASSWORD, "usable_password": "true"}
        as_mallory.post(reverse("admin:auth_user_password_change", args=[zoe.pk]), typed)
    long_ago()
    save(as_mallory, zoe, groups=[role("Approver")])
    a_day_later()
    assert not may_decide(zoe)
    assert "Somebody else saw the link of the invitation, or set the password" in shown(as_mallory, zoe)
    call_command("confirm_account", zoe.username, stdout=StringIO())
    assert may_decide(zoe)
    # The role is taken away and comes back. Nobody saw anything since the confirmation.
    save(as_mallory, zoe, groups=[role("Auditor")])
    assert not may_decide(zoe)
    save(as_mallory, zoe, groups=[role("Approver")])
    a_day_later()
    assert may_decide(zoe)


def refuse(*args: object) -> None:
    raise OSError("connection refused")


@pytest.mark.usefixtures("no_mail_server")
def test_a_second_admin_whom_the_first_could_have_opened_confirms_nothing(bob, mallory, as_mallory):
    """However long ago. Control: without `opened_with`, one person confirms with an account made for that."""
    second = invited(as_mallory, "second", "Company admin")
    third = invited(join(second), "third", "Company admin")
    join(third)
    long_ago()
    zoe = invited(as_mallory, "zoe", "Approver")
    join(zoe)
    for admin in User.objects.filter(pk__in=[second.pk, third.pk]):
        assert "could belong to one person" in press(signed_in(admin), "confirm", change_for(zoe))
    call_command("confirm_account", third.username, stdout=StringIO())
    assert "in effect now" in press(signed_in(User.objects.get(pk=third.pk)), "confirm", change_for(zoe))


@pytest.mark.usefixtures("no_mail_server")
def test_another_admin_who_saw_the_link_does_not_confirm_either(bob, mallory, as_mallory):
    second = signed_in(person("second", "Company admin"))
    zoe = invited(as_mallory, "zoe", "Approver")
    assert "/welcome/" in send(second, zoe)
    long_ago()
    join(zoe)
    assert "could belong to one person" in press(second, "confirm", change_for(zoe))
    third = signed_in(person("third", "Company admin"))
    assert "mallory and second saw the link" in shown(third, zoe)
    assert "in effect now" in press(third, "confirm", change_for(zoe))


@pytest.mark.parametrize("mails", [True, False])
def test_the_password_of_an_approver_is_not_changed_by_time_when_nobody_was_told(
    bob, mallory, as_mallory, settings, mails
):
    """Without a mail server, one admin sets it and waits for a day. With one, Bob gets the mail, and can refuse."""
    settings.EMAIL_BACKEND = settings.EMAIL_BACKEND if mails else NOWHERE[1]
    typed = {"password1": NEW_PASSWORD, "password2": NEW_PASSWORD, "usable_password": "true"}
    as_mallory.post(reverse("admin:auth_user_password_change", args=[bob.pk]), typed)
    change = change_for(bob, "password")
    pages = page("rightschange", "changelist"), page("rightschange", "change", change.pk)
    told = [text_of(as_mallory.get(address)) for address in pages]
    assert (("a day after its mails" in told[0]), ("a day after its mails" in told[1])) == (mails, mails)
    if not mails:
        assert "when a second admin confirms it" in told[0] and "No mail server is set up" in told[1]
    a_day_later()
    assert User.objects.get(pk=bob.pk).check_password(NEW_PASSWORD) == mails
    if not mails:
        told = [text_of(as_mallory.get(address)) for address in pages]
        assert "when a second admin confirms it" in told[0] and "No mail reached anybody else" in told[1]
        [row] = exports.rows(as_mallory.get(page("rightschange", "export", "csv")))
        assert row["Takes effect at the earliest (UTC)"] == ""


def test_an_event_that_was_changed_shows_no_mailed_link(bob, mallory, as_mallory, settings):
    """Somebody with the database takes the reason out of the event, as if the link had been mailed."""
    settings.EMAIL_BACKEND = NOWHERE[0]
    zoe = invited(as_mallory, "zoe", "Approver")
    settings.EMAIL_BACKEND = "django.core.mail.backends.locmem.EmailBackend"
    join(zoe)
    forge(AuditEvent.objects.get(action="user.invited"))
    a_day_later()
    assert not may_decide(zoe)


def forge(event: AuditEvent) -> None:
    drop(connection)
    AuditEvent.objects.filter(pk=event.pk).update(data={**event.data, "problem": ""})
    create(connection)


def test_an_account_of_the_console_needs_no_invitation(bob, dave, mallory):
    """Somebody with a password of their own gets the role. Others are told, and a day passes."""
    dave.groups.add(Group.objects.get(name="Approver"))
    rights_changes.follow(actor=None)
    a_day_later()
    assert may_decide(dave) and not RightsChange.objects.waiting().exists()
    with pytest.raises(Refused, match="Only a second admin"):
        rights_changes.confirm(RightsChange.objects.get(account=dave), actor=bob)
