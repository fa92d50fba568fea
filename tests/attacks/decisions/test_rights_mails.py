"""Mails about changes of rights: each Approver gets what concerns the own profiles, and nobody is kept from a warning.

Controls: with the scope of today alone, or with the rows alone, an admin or somebody with the database keeps the
Approver of the profile from the mail.
"""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.contrib.auth.models import Group, User
from django.core import mail

from licensehub.audit.models import AuditEvent
from subscriptions.accounts import rights_changes, scope_changes
from subscriptions.models import ChangeKind, RightsChange
from subscriptions.notifications.accounts import rights_mail
from tests.support.attacks import attack
from tests.support.fixtures import person
from tests.support.people.organization import Organization, limited_to
from tests.support.people.rights import happened_earlier

LONG_AGO = timedelta(days=31)


@pytest.fixture
def approvers(organization: Organization, us: Organization, bob) -> dict[str, User]:
    """Three accounts: of EU, of US, and of all; the scopes are older than 30 days."""
    found = {
        "eu": limited_to(person("eva", "Approver"), organization.profile),
        "us": limited_to(person("uma", "Approver"), us.profile),
        "all": bob,
    }
    happened_earlier(AuditEvent.objects.filter(action="user.scope_changed"), LONG_AGO)
    rights_mail.announce()
    mail.outbox.clear()
    return found


def grant(name: str, *profiles) -> RightsChange:
    """Somebody gets the right to decide, by a role that was given past the pages."""
    user = person(name, None)
    if profiles:
        limited_to(user, *profiles)
    give(user)
    rights_mail.announce()
    return RightsChange.objects.get(account=user, kind=ChangeKind.GRANT)


def give(user: User) -> None:
    user.groups.add(Group.objects.get(name="Approver"))
    rights_changes.follow(actor=None)


def told() -> set[str]:
    return {message.to[0].partition("@")[0] for message in mail.outbox}


def test_each_approver_gets_what_concerns_the_own_profiles(approvers, organization, us):
    grant("greta", organization.profile)
    assert {"eva", "bob", "greta"} <= told() and "uma" not in told()
    mail.outbox.clear()
    grant("second")
    assert {"eva", "uma", "bob", "second"} <= told(), "somebody who decides for all"


def test_more_profiles_are_told_in_words_that_name_no_other_profile(approvers, organization, us):
    third = person("trent", "Company admin")
    scope_changes.choose(approvers["eu"], [organization.profile.pk, us.profile.pk], actor=third)
    rights_mail.announce()
    texts = {message.to[0].partition("@")[0]: message.body for message in mail.outbox}
    assert {"eva", "uma", "bob", "trent"} <= set(texts)
    assert "hold for Northwind, Northwind US" in texts["bob"] and "refuse it now" in texts["bob"]
    assert "Northwind US and other profiles" in texts["uma"] and "Today they hold for other profiles" in texts["uma"]
    assert "tell your admins" in texts["uma"] and "refuse it now" not in texts["uma"]
    assert "Northwind US" not in texts["eva"]


def test_an_approver_whose_scope_was_narrowed_before_is_told(approvers, organization, us):
    """An admin takes EU away from its Approver, which needs no second admin, and then makes a new Approver for EU."""
    limited_to(approvers["eu"], us.profile)
    grant("greta", organization.profile)
    assert "eva" in told()


def test_rows_without_an_event_keep_nobody_from_the_mail(approvers, organization, us):
    attack("UPDATE integrations_accountscope_profiles SET integrationprofile_id = %s", us.profile.pk)
    attack("INSERT INTO integrations_accountscope (user_id) VALUES (%s)", approvers["all"].pk)
    grant("greta", organization.profile)
    assert {"eva", "bob"} <= told()
    # Nor rows of the account that gets the right.
    mail.outbox.clear()
    second = person("second", None)
    attack("INSERT INTO integrations_accountscope (user_id) VALUES (%s)", second.pk)
    give(second)
    rights_mail.announce()
    assert {"eva", "bob"} <= told()


def test_a_scope_that_ended_long_ago_does_not_count(approvers, organization, us):
    limited_to(approvers["eu"], us.profile)
    happened_earlier(AuditEvent.objects.filter(action="user.scope_changed").order_by("-sequence")[:1], LONG_AGO)
    grant("greta", organization.profile)
    assert "eva" not in told()
