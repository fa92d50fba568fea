"""One person tries to ask for a reclaim and to approve it, with the help of another account. Each test does it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import cast

import pytest
from django.contrib.auth.models import Group, Permission, User
from django.core import mail
from django.core.management import call_command
from django.core.validators import validate_email
from django.db import connection
from django.http import HttpResponse
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from licensehub.audit.models import AuditEvent
from subscriptions.accounts import rights, rights_changes
from subscriptions.approvals import decide
from subscriptions.approvals.deciders import deciders_of
from subscriptions.approvals.request import file_automatically, refuse_raising
from subscriptions.downloads import acceptance
from subscriptions.errors import Refused
from subscriptions.models import (
    AccountPerson,
    DecidingRight,
    FileRequests,
    Reclaim,
    ReclaimRequest,
    RightsChange,
)
from subscriptions.notifications.accounts import rights_mail
from subscriptions.rules.rules import change_rule
from subscriptions.sweep import repair
from tests.support.fixtures import in_effect, person
from tests.support.people.organization import Organization, request_url, said, seen
from tests.support.people.rights import happened_earlier
from tests.support.web.account_pages import a_day_later, change_for, invite, join, press, role, save, signed_in
from tests.support.web.pages import text_of

NEW_PASSWORD = "a password that Mallory knows"


def a_month_later() -> None:
    """All events of accounts happened 31 days earlier."""
    happened_earlier(AuditEvent.objects.exclude(target_type="subscriptions.reclaimrequest"), timedelta(days=31))


def refused(asked: ReclaimRequest, user: User) -> str:
    """Approve with this account, in the browser and past it. Nothing is approved; returns the sentence."""
    answer = signed_in(user).post(request_url("approve", asked), seen(asked))
    with pytest.raises(Refused) as refusal:
        decide.approve(ReclaimRequest.objects.get(pk=asked.pk), actor=User.objects.get(pk=user.pk))
    asked.refresh_from_db()
    assert asked.state == "open" and not Reclaim.objects.exists()
    assert user.pk not in deciders_of(asked).values_list("pk", flat=True)
    assert answer.status_code == 403 or said(cast(HttpResponse, answer))
    return str(refusal.value)


def approved(asked: ReclaimRequest, user: User, workers_called: list[int]) -> None:
    """The control of `refused`."""
    assert user.pk in deciders_of(asked).values_list("pk", flat=True)
    signed_in(user).post(request_url("approve", asked), seen(asked))
    asked.refresh_from_db()
    assert (asked.state, asked.decided_by) == ("approved", user)


def actions(user: User) -> list[str]:
    events = AuditEvent.objects.filter(target_type="auth.user", target_id=user.pk).order_by("sequence")
    return list(events.values_list("action", flat=True))


def test_an_admin_does_not_decide_and_a_superuser_does_not_either(organization: Organization, alice, bob, mallory):
    asked = organization.ask(alice)
    root = User.objects.create_superuser("root", "root@northwind.example", "x")
    assert "Only an Approver" in refused(asked, mallory)
    assert "Only an Approver" in refused(asked, root)
    root.groups.add(Group.objects.get(name="Approver"))
    DecidingRight.objects.create(user=root, since=timezone.now())
    assert "administers accounts" in refused(asked, root)


def test_a_ghost_approver_waits_and_never_approves_what_its_maker_asks(
    organization: Organization, alice, bob, mallory, as_mallory, workers_called
):
    asked = organization.ask(mallory)
    ghost = invite(as_mallory, "ghost", "Approver")
    join(ghost)
    assert "Your account is tied to" in refused(asked, ghost)

    change = change_for(ghost)
    assert "You asked for this change" in press(as_mallory, "confirm", change)
    assert "Only a second admin" in press(signed_in(bob), "confirm", change)
    a_day_later()
    assert rights.may(User.objects.get(pk=ghost.pk), rights.DECIDE)
    assert "Your account is tied to" in refused(asked, ghost)
    shown = text_of(signed_in(ghost).get(request_url("change", asked)))
    assert (
        "Your account is tied to an account that took part in this request" in shown and "Approve 3 seats" not in shown
    )
    assert [action for action in actions(ghost) if not action.startswith("sign_in")] == [
        *("user.created", "rights.asked", "user.joined", "rights.announced", "rights.took_effect"),
    ]

    a_month_later()
    approved(asked, ghost, workers_called)


def test_a_right_that_waits_does_not_decide_whoever_asked(
    organization: Organization, alice, bob, mallory, as_mallory, workers_called
):
    asked = organization.ask(alice)
    newcomer = invite(as_mallory, "newcomer", "Approver")
    join(newcomer)
    assert "has not taken effect" in refused(asked, newcomer)
    assert "has not taken effect" in text_of(signed_in(newcomer).get(request_url("change", asked)))
    second = person("second", "Company admin")
    assert "in effect now" in press(signed_in(second), "confirm", change_for(newcomer))
    approved(asked, newcomer, workers_called)
    event = AuditEvent.objects.get(action="request.approved")
    assert event.data["account"]["made_by"] == "mallory" and event.data["account"]["may_decide_since"]
    shown = text_of(signed_in(bob).get(request_url("change", asked)))
    assert "by mallory, 0 days before this decision" in shown


def test_ghosts_of_ghosts_are_found(organization: Organization, bob, mallory, as_mallory):
    """A second admin whom Mallory made confirms, or makes the approver, or asks in her place."""
    accomplice = invite(as_mallory, "accomplice", "Company admin")
    ghost = invite(as_mallory, "ghost", "Approver")
    assert "Your account is tied to" in press(signed_in(accomplice), "confirm", change_for(ghost))
    far = invite(signed_in(accomplice), "far", "Approver")
    join(far)
    assert "Your account is tied to" in press(as_mallory, "confirm", change_for(far))
    a_day_later()
    assert "Your account is tied to" in refused(organization.ask(mallory), far)


def test_an_approver_does_not_make_the_requester(organization: Organization, mallory, as_mallory, alice):
    """Somebody was an admin, made an account that asks, and decides now."""
    puppet = invite(as_mallory, "puppet", "License manager")
    mallory.groups.set([Group.objects.get(name="Approver")])
    in_effect(mallory)
    assert "Your account is tied to" in refused(organization.ask(puppet), mallory)


def test_two_accounts_of_one_maker_do_not_decide_for_each_other(
    organization: Organization, alice, erin, mallory, as_mallory, workers_called
):
    puppet = invite(as_mallory, "puppet", "License manager")
    ghost = invite(as_mallory, "ghost", "Approver")
    join(ghost)
    a_day_later()
    asked = organization.ask(puppet, count=1)
    assert "one account made both" in refused(asked, ghost)
    # A second admin who knows the person has confirmed this one.
    late = invite(as_mallory, "late", "Approver")
    join(late)
    press(signed_in(person("second", "Company admin")), "confirm", change_for(late))
    assert "Your account is tied to" in refused(organization.ask(mallory, count=1), late)
    approved(asked, late, workers_called)
    # A role lets nobody sign in, so an admin who gives roles to many people ties none of them to another one.
    for user, roles in ((alice, ("License manager", "Auditor")), (erin, ("Approver", "Auditor"))):
        save(as_mallory, user, groups=[role(one) for one in roles])
    approved(organization.ask(alice, count=1), erin, workers_called)


def test_who_writes_the_rule_does_not_decide_what_the_schedule_files(
    organization: Organization, bob, mallory, as_mallory, workers_called
):
    author = person("author", "License manager")
    author.groups.add(Group.objects.get(name="Approver"))
    in_effect(author)
    change_rule(organization.rule, actor=author, changed={"file_requests": FileRequests.AUTOMATIC})
    happened_earlier(AuditEvent.objects.filter(action="rule.changed"), timedelta(days=99))
    change_rule(organization.rule, actor=mallory, changed={"last_activity_threshold": 50})
    ghost = invite(as_mallory, "ghost", "Approver")
    join(ghost)
    a_day_later()
    asked = file_automatically(organization.profile)
    assert asked is not None
    assert "by a rule that you switched to automatic" in refused(asked, author)
    assert "Your account is tied to" in refused(asked, ghost)
    for user, sentence in ((author, "raise its cap"), (ghost, "Your account is tied to")):
        with pytest.raises(Refused, match=sentence):
            refuse_raising(asked, actor=user, profile=organization.profile)
    approved(asked, bob, workers_called)


@pytest.mark.parametrize("known_to", ["reset", "address"])
def test_an_approvers_password_and_address_wait(
    organization: Organization, bob, mallory, as_mallory, workers_called, known_to
):
    asked = organization.ask(mallory)
    kind = {"reset": "password", "address": "address"}[known_to]

    def attack() -> None:
        if known_to == "reset":
            words = {"password1": NEW_PASSWORD, "password2": NEW_PASSWORD, "usable_password": "true"}
            as_mallory.post(reverse("admin:auth_user_password_change", args=[bob.pk]), words)
        else:
            save(as_mallory, bob, email="mallory.second@northwind.example")

    attack()
    stored = User.objects.get(pk=bob.pk)
    assert stored.check_password("a long password of bob") and stored.email == "bob@northwind.example"
    assert not Client().login(username="bob", password=NEW_PASSWORD)
    # Nothing has happened to the account yet, so its owner still decides, and refuses.
    rights_mail.announce()
    told = {message.to[0] for message in mail.outbox}
    assert {"bob@northwind.example", "mallory@northwind.example"} <= told
    assert ("mallory.second@northwind.example" in told) == (known_to == "address")
    assert "Say in a few words why" in press(signed_in(bob), "refuse", change_for(bob, kind))
    assert "Refused" in press(signed_in(bob), "refuse", change_for(bob, kind), comment="Not me")
    a_day_later()
    assert User.objects.get(pk=bob.pk).password == stored.password

    attack()
    a_day_later()
    bob.refresh_from_db()
    assert bob.check_password(NEW_PASSWORD) == (known_to == "reset")
    assert bob.email == ("bob@northwind.example" if known_to == "reset" else "mallory.second@northwind.example")
    assert not RightsChange.objects.exclude(password="").exists()
    assert "Your account is tied to" in refused(asked, bob)
    call_command("confirm_account", "bob")
    approved(asked, bob, workers_called)


def test_everybody_who_decides_is_told_and_who_was_deactivated_before_too(bob, erin, mallory, as_mallory):
    save(as_mallory, erin, is_active="")
    assert actions(erin) == ["user.changed", "rights.ended"]
    ghost = invite(as_mallory, "ghost", "Approver")
    rights_mail.announce()
    told = [message for message in mail.outbox if "Right to decide" in message.subject]
    assert {message.to[0] for message in told} >= {
        "bob@northwind.example",
        "erin@northwind.example",
        "ghost@northwind.example",
    }
    assert all("mallory gives" in message.body and "refuse it now" in message.body for message in told)

    # Active again is a grant, and waits.
    save(as_mallory, User.objects.get(pk=erin.pk), is_active="on")
    assert not rights.may(User.objects.get(pk=erin.pk), rights.DECIDE)
    change_for(erin)
    assert "Refused" in press(signed_in(bob), "refuse", change_for(ghost), comment="Who is this?")
    assert not ghost.groups.exists()
    a_day_later()
    assert not rights.may(User.objects.get(pk=ghost.pk), rights.DECIDE)


def test_no_mail_no_effect(bob, as_mallory, monkeypatch):
    """The day of waiting does not begin while the mail server is away."""
    ghost = invite(as_mallory, "ghost", "Approver")
    join(ghost)
    RightsChange.objects.update(asked_at=timezone.now() - timedelta(days=9))
    repair()
    assert not rights.may(ghost, rights.DECIDE)
    change_for(ghost)


def grant_to_role(root: Client, user: User) -> None:
    auditor = Group.objects.get(name="Auditor")
    user.groups.add(auditor)
    decides = Permission.objects.get(codename="decide_reclaimrequest")
    mine = [*auditor.permissions.values_list("pk", flat=True), decides.pk]
    root.post(reverse("admin:auth_group_change", args=[auditor.pk]), {"name": "Auditor", "permissions": mine})


def grant_directly(root: Client, user: User) -> None:
    decides = Permission.objects.get(codename="decide_reclaimrequest")
    save(root, user, user_permissions=[str(decides.pk)])


def grant_by_sql(root: Client, user: User) -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO auth_user_groups (user_id, group_id) SELECT %s, id FROM auth_group WHERE name = 'Approver'",
            [user.pk],
        )


def grant_at_the_shell(root: Client, user: User) -> None:
    user.groups.add(Group.objects.get(name="Approver"))


@pytest.mark.parametrize("grant", [grant_to_role, grant_directly, grant_by_sql, grant_at_the_shell])
def test_every_way_to_the_right_waits(
    organization: Organization, alice, bob, dave, grant: Callable[[Client, User], None]
):
    root = User.objects.create_superuser("root", "root@northwind.example", "x")
    asked = organization.ask(alice)
    grant(signed_in(root), dave)
    assert "has not taken effect" in refused(asked, dave)
    repair()
    assert "has not taken effect" in refused(asked, dave)
    assert "rights.asked" in actions(dave)
    rights_changes.refuse(change_for(dave), actor=bob, comment="No")
    repair()
    assert not rights.holders_of(rights.DECIDING).filter(pk=dave.pk).exists()


def test_a_new_superuser_waits_too(dave, bob):
    root = User.objects.create_superuser("root", "root@northwind.example", "x")
    save(signed_in(root), dave, is_superuser="on")
    assert not User.objects.get(pk=dave.pk).is_superuser
    second = person("second", "Company admin")
    assert "in effect now" in press(signed_in(second), "confirm", change_for(dave, "superuser"))
    assert User.objects.get(pk=dave.pk).is_superuser


def test_one_account_does_not_have_both_duties(as_mallory, bob, alice):
    both = [role("Approver"), role("Company admin")]
    assert "One account cannot both decide and administer accounts" in save(as_mallory, alice, groups=both)
    assert [group.name for group in alice.groups.all()] == ["License manager"]
    allowed = [role("Approver"), role("License manager")]
    assert "The right to decide waits" in save(as_mallory, alice, groups=allowed)


def test_a_second_account_of_the_requester_does_not_approve(
    organization: Organization, alice, bob, erin, workers_called
):
    """Tried with other forms of the mailbox, with another address of the same vendor id, and without an address."""
    asked = organization.ask(alice)
    ids = {"kind": organization.profile.kind, "organization_id": organization.profile.organization_id}
    AccountPerson.objects.create(user=alice, external_id="1003", **ids)
    forms = ("Alice+decides@northwind.example", '"alice"@northwind.example', '"al\\ice+x"@Northwind.example')
    for form in (*forms, "alice@north\u00adwind.example"):
        validate_email(form)
        User.objects.filter(pk=bob.pk).update(email=form)
        assert "You made this request" in refused(asked, bob), form
    User.objects.filter(pk=bob.pk).update(email="robert@elsewhere.example")
    AccountPerson.objects.create(user=bob, external_id="1003", **ids)
    assert "You made this request" in refused(asked, bob)
    AccountPerson.objects.filter(user=bob).delete()
    User.objects.filter(pk=bob.pk).update(email="")
    assert "no e-mail address" in refused(asked, bob)
    approved(asked, erin, workers_called)


def test_a_ghost_operator_does_not_accept_what_its_maker_proposed(organization: Organization, as_mallory, mallory):
    run = organization.run
    type(run).objects.filter(pk=run.pk).update(state="quarantined", acceptable=True, problem="Too few")
    run.refresh_from_db()
    ghost = invite(as_mallory, "ghost", "Operator")
    acceptance.propose(run, reason="The office closed", actor=mallory)
    run.refresh_from_db()
    assert "Your account is tied to" in acceptance.why_not_confirm(run, ghost)
    assert "Your account is tied to" not in acceptance.why_not_confirm(run, person("olivia", "Operator"))
