"""Somebody who can write to the database gives a right to decide, or a password, in its rows. Each test does it."""

from __future__ import annotations

import pytest
from django.contrib.auth.hashers import make_password
from django.contrib.auth.models import Group, User
from django.db import connection, transaction
from django.utils import timezone

from licensehub.audit.models import AuditEvent
from licensehub.audit.triggers import create, drop
from subscriptions.accounts import rights_changes
from subscriptions.approvals import decide
from subscriptions.approvals.request import raise_cap
from subscriptions.errors import NotActionable, Refused
from subscriptions.evidence.rows.comparison import verify_rows
from subscriptions.models import ChangeKind, DecidingRight, ReclaimRequest, RightsChange
from subscriptions.notifications.accounts import rights_mail
from subscriptions.sweep import repair
from tests.support.attacks import attack
from tests.support.fixtures import in_effect, person
from tests.support.people.organization import Organization
from tests.support.people.rights import rows_of_a_day_ago
from tests.support.web.account_pages import a_day_later, change_for

EVIL = "a password that the attacker knows"
NOT_GRANTED = "The audit has no event that gives you the right to decide"

pytestmark = pytest.mark.usefixtures("real_rights")


def give_role(user: User) -> None:
    group = Group.objects.get(name="Approver").pk
    attack("INSERT INTO auth_user_groups (user_id, group_id) VALUES (%s, %s)", user.pk, group)


def test_a_role_and_a_right_in_the_database_do_not_decide(organization: Organization, alice, bob, dave):
    asked = organization.ask(alice)
    give_role(dave)
    statement = "INSERT INTO subscriptions_decidingright (user_id, since) VALUES (%s, %s)"
    attack(statement, dave.pk, timezone.now())
    repair()
    with pytest.raises(Refused, match=NOT_GRANTED):
        decide.approve(ReclaimRequest.objects.get(pk=asked.pk), actor=dave)
    with pytest.raises(Refused, match=NOT_GRANTED):
        raise_cap(ReclaimRequest.objects.get(pk=asked.pk), actor=dave, reason="True-up")
    of_rights = [one for one in verify_rows() if one.model == DecidingRight._meta.label_lower]
    assert [(one.pk, one.field) for one in of_rights] == [(dave.pk, "row")]
    # A right that has ended, set in effect again.
    bob.groups.clear()
    repair()
    give_role(bob)
    attack("UPDATE subscriptions_decidingright SET ended_at = NULL WHERE user_id = %s", bob.pk)
    with pytest.raises(Refused, match=NOT_GRANTED):
        decide.approve(ReclaimRequest.objects.get(pk=asked.pk), actor=bob)
    assert {one.pk for one in verify_rows() if one.model == DecidingRight._meta.label_lower} == {bob.pk, dave.pk}

    erin = person("erin", "Approver")
    assert decide.approve(ReclaimRequest.objects.get(pk=asked.pk), actor=erin) == 3


def test_a_grant_of_another_past_decides_nothing(organization: Organization, alice, bob, dave):
    """A copy of the database went on in another way, with the same keys, and its event is put into this one."""
    asked, mallory = organization.ask(alice), person("mallory", "Company admin")
    copy = transaction.savepoint()
    rights_changes.ask(bob, ChangeKind.ADDRESS, actor=mallory, after="robert@northwind.example")
    give_role(dave)
    in_effect(dave)
    granted = AuditEvent.objects.values().get(action="rights.took_effect", target_id=dave.pk)
    transaction.savepoint_rollback(copy)
    for address in ("bob@one.example", "bob@two.example"):
        change = rights_changes.ask(bob, ChangeKind.ADDRESS, actor=mallory, after=address)
        rights_changes.withdraw(change, actor=mallory)
    give_role(dave)
    attack("INSERT INTO subscriptions_decidingright (user_id, since) VALUES (%s, %s)", dave.pk, timezone.now())
    drop(connection)
    assert AuditEvent.objects.filter(pk=granted["sequence"]).delete()[0] == 1
    create(connection)
    AuditEvent.objects.create(**granted)
    with pytest.raises(Refused, match=NOT_GRANTED):
        decide.approve(ReclaimRequest.objects.get(pk=asked.pk), actor=dave)


def test_deleted_rights_make_nobody_the_first_who_decides(bob, dave):
    attack("DELETE FROM subscriptions_decidingright")
    give_role(dave)
    repair()
    assert not DecidingRight.objects.exists()
    assert {change_for(bob).kind, change_for(dave).kind} == {"grant"}


def test_a_change_in_the_database_sets_no_password_and_gives_no_right(bob, dave):
    mallory = person("mallory", "Company admin")
    statement = (
        "INSERT INTO subscriptions_rightschange"
        " (account_id, kind, state, before, after, password, asked_by_id, asked_at, announced_at, comment)"
        " VALUES (%s, %s, 'waiting', '', '', %s, NULL, %s, NULL, '')"
    )
    now = timezone.now()
    attack(statement, bob.pk, "password", make_password(EVIL), now)
    give_role(dave)
    attack(statement, dave.pk, "grant", "", now)
    a_day_later()
    bob.refresh_from_db()
    assert not bob.check_password(EVIL) and not DecidingRight.objects.filter(user=dave).exists()
    with pytest.raises(NotActionable, match="differs from what was asked for"):
        rights_changes.confirm(change_for(bob, "password"), actor=mallory)

    # A change that an admin did ask for, with another password, or with mails of another day.
    RightsChange.objects.all().delete()
    rights_changes.ask(bob, ChangeKind.PASSWORD, actor=mallory, password=make_password("what Mallory asked for"))
    rights_mail.announce()
    rows_of_a_day_ago()
    repair()
    bob.refresh_from_db()
    assert not bob.check_password("what Mallory asked for")
    good = change_for(bob, "password").password
    attack("UPDATE subscriptions_rightschange SET password = %s", make_password(EVIL))
    a_day_later()
    bob.refresh_from_db()
    assert not bob.check_password(EVIL)
    RightsChange.objects.update(password=good)
    repair()
    bob.refresh_from_db()
    assert bob.check_password("what Mallory asked for")
