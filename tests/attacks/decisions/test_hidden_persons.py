"""One person with two accounts, who can write to the database, and hides there that both are theirs."""

from __future__ import annotations

from collections.abc import Callable
from io import StringIO

import pytest
from django.contrib.auth.models import User
from django.core.management import call_command
from django.db import transaction

from licensehub.audit.actions import Action
from licensehub.audit.log import record
from licensehub.audit.models import AuditEvent
from licensehub.sign_in.tokens import tokens
from subscriptions.accounts import persons
from subscriptions.approvals import decide
from subscriptions.approvals.request import raise_cap
from subscriptions.errors import OwnRequest, Refused
from subscriptions.models import AccountPerson, ReclaimRequest, Subscription
from tests.support.attacks import attack
from tests.support.fixtures import person
from tests.support.people.organization import Organization

DIFFERS = "differs from what the audit says"


@pytest.fixture
def asked(organization: Organization, alice, bob) -> ReclaimRequest:
    """Alice asks. Bob is her second account: its address has a tag, and the audit knows it."""
    for user, email in ((alice, alice.email), (bob, "alice+decides@northwind.example")):
        User.objects.filter(pk=user.pk).update(email=email)
        user.refresh_from_db()
        with transaction.atomic():
            record(Action.USER_CREATED, actor=None, target=user, data={"after": {"email": email}, "roles": []})
    return organization.ask(alice)


def try_all(request: ReclaimRequest, bob: User) -> list[Exception]:
    """Approve, reject and raise the cap. Returns what was said."""
    said = []
    acts: tuple[Callable[[ReclaimRequest, User], object], ...] = (
        lambda row, user: decide.approve(row, actor=user),
        lambda row, user: decide.reject(row, actor=user, comment="No"),
        lambda row, user: raise_cap(row, actor=user, reason="True-up"),
    )
    for act in acts:
        with pytest.raises((Refused, OwnRequest)) as refusal:
            act(ReclaimRequest.objects.get(pk=request.pk), User.objects.get(pk=bob.pk))
        said.append(refusal.value)
    return said


@pytest.mark.parametrize("whose", ["alice", "bob"])
def test_another_address_in_the_row_hides_nobody(asked, whose, alice, bob):
    """Control: without `refuse_hidden`, Bob approves what Alice asked for, and both are one person."""
    assert all("You made this request" in str(one) for one in try_all(asked, bob))
    attack("UPDATE auth_user SET email = 'somebody.else@northwind.example' WHERE username = %s", whose)
    assert all(DIFFERS in str(one) and whose in str(one) for one in try_all(asked, bob))
    # The operator looks at the account with its person, and sets the address right.
    attack("UPDATE auth_user SET email = 'bob@northwind.example' WHERE username = 'bob'")
    attack("UPDATE auth_user SET email = 'alice@northwind.example' WHERE username = 'alice'")
    for name in ("alice", "bob"):
        call_command("confirm_account", name, stdout=StringIO())
    asked.refresh_from_db()
    assert decide.approve(asked, actor=User.objects.get(pk=bob.pk)) == 3


def test_who_owns_a_seat_is_not_forgotten_with_the_row(organization: Organization, alice, bob, carol):
    """Both accounts belong to the same member of the vendor, by their own addresses."""
    member = Subscription.objects.order_by("-pk")[0]
    asked, profile = organization.ask(alice), organization.profile
    for user in (alice, bob):
        persons.link(user, profile, member.external_id, actor=carol)
    assert "You made this request" in str(try_all(asked, bob)[0])
    attack("DELETE FROM subscriptions_accountperson WHERE user_id = %s", bob.pk)
    assert all(DIFFERS in str(one) for one in try_all(asked, bob))
    # LicenseHub itself removes one.
    persons.link(bob, profile, "", actor=carol)
    attack("DELETE FROM subscriptions_accountperson WHERE user_id = %s", bob.pk)
    persons.link(bob, profile, member.external_id, actor=carol)
    persons.unlink(AccountPerson.objects.get(user=bob, external_id=member.external_id), actor=carol)
    persons.link(bob, profile, "", actor=carol)
    assert decide.approve(asked, actor=User.objects.get(pk=bob.pk)) == 3


def test_a_row_that_says_that_bob_has_no_seat_is_not_believed(organization: Organization, alice, bob):
    """It would switch off that the same name at another domain counts as the same person."""
    asked, profile = organization.ask(alice), organization.profile
    User.objects.filter(pk=bob.pk).update(email="alice@elsewhere.example")
    assert "You made this request" in str(try_all(asked, bob)[0])
    ids = {"kind": profile.kind, "organization_id": profile.organization_id}
    AccountPerson.objects.create(user=bob, linked_by=bob, **ids)
    assert all(DIFFERS in str(one) for one in try_all(asked, bob))


def test_who_holds_a_token_of_a_program_stays_known(organization: Organization, bob, carol):
    """The program asks with a token that Bob got."""
    role = carol.groups.get()
    program = tokens.make_service_account(username="sync", email="sync@northwind.example", role=role, actor=carol)
    tokens.make(program, name="sync", role=role, actor=carol, holder=bob)
    asked = organization.ask(program)
    assert "You made this request" in str(try_all(asked, bob)[0])
    attack("UPDATE sign_in_serviceaccount SET holders = %s", f"[{carol.pk}]")
    assert all(DIFFERS in str(one) and "sync" in str(one) for one in try_all(asked, bob))


def test_events_whose_text_was_erased_hold_up_nobody(asked, organization: Organization, bob, erin):
    """Erin decides, and nobody has touched her. An erased event says nothing about the address."""
    assert AuditEvent.objects.filter(action="user.created").exists()
    assert decide.approve(asked, actor=erin) == 3


def test_control_an_account_without_events_decides(organization: Organization, alice, bob):
    asked = organization.ask(alice)
    person("dora", "Auditor")
    assert decide.approve(asked, actor=bob) == 3
