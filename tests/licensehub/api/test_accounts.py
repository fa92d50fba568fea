"""Accounts by the API: who reads them, who invites and grants, and what waits for a second admin."""

from __future__ import annotations

from datetime import timedelta

import pytest
import time_machine
from django.contrib.auth.models import User
from django.core import mail
from django.utils import timezone

from licensehub.audit.models import AuditEvent
from licensehub.sign_in.tokens import tokens
from subscriptions.accounts import rights
from subscriptions.models import RightsChange
from tests.licensehub.api.test_reading import LETTERS
from tests.licensehub.site.roles.role_matrix import LISTS
from tests.support.fixtures import person
from tests.support.people.api import Program, problem

INVITATION = {
    "first_name": "Pat",
    "last_name": "Lee",
    "email": "pat@northwind.example",
    "roles": ["License manager"],
}


@pytest.fixture
def carol(db) -> User:
    return person("carol", "Company admin")


def test_an_admin_alone_makes_nobody_an_approver(organization, program, carol, alice, bob):
    """The role is given at once, the right waits. Control: without `record_changes` nothing waits."""
    sent: Program = program(carol)
    done = sent.post(f"/users/{alice.pk}/roles", {"add": ["Approver"]}, Idempotency_Key="a")
    assert done.status_code == 200 and done.json()["waits"] is True, done.content
    assert not rights.deciders().filter(pk=alice.pk).exists()
    change = RightsChange.objects.waiting().get(account=alice)
    assert change.asked_by == carol
    event = AuditEvent.objects.get(action="user.roles_changed", target_id=alice.pk)
    assert (event.actor_name, event.data["added"], event.data["token"]) == ("carol", ["Approver"], sent.token.pk)
    again = sent.post(f"/users/{alice.pk}/roles", {"add": ["Approver"]})
    assert again.json()["detail"].startswith("The account has these roles already.")
    # Nothing under /api confirms it.
    paths = {"confirm", "refuse"}
    assert all(sent.post(f"/rights-changes/{change.pk}/{path}").status_code == 404 for path in paths)


def test_roles_that_exclude_each_other_are_refused(organization, program, carol, alice):
    sent = program(carol)
    for wrong in (["Approver", "Company admin"], ["Nonsense"]):
        assert problem(sent.post(f"/users/{alice.pk}/roles", {"add": wrong}), 409) == "refused"
    root = User.objects.create_superuser("root", "root@northwind.example", "x")
    assert problem(sent.post(f"/users/{root.pk}/roles", {"add": ["Auditor"]}), 409) == "refused"
    assert list(alice.groups.values_list("name", flat=True)) == ["License manager"] and not root.groups.exists()


def test_granting_asks_for_a_fresh_proof_of_a_person(organization, program, carol, alice):
    """Control: without `refuse_without_proof` each of these calls grants."""
    robot = tokens.make_service_account(
        username="robot", email="robots@northwind.example", role=carol.groups.get(), actor=carol
    )
    for sent in (program(carol, factor_at=None), program(robot, actor=carol, factor_at=None)):
        assert problem(sent.post("/users", INVITATION), 403) == "proof_too_old"
        assert problem(sent.post(f"/users/{alice.pk}/roles", {"add": ["Auditor"]}), 403) == "proof_too_old"
    fresh = program(carol)
    with time_machine.travel(timezone.now() + timedelta(hours=12, minutes=1)):
        assert problem(fresh.post(f"/users/{alice.pk}/roles", {"add": ["Auditor"]}), 403) == "proof_too_old"
    assert not User.objects.filter(email=INVITATION["email"]).exists()


def test_an_invitation_is_mailed_once_for_an_address(organization, program, carol, alice):
    sent = program(carol)
    done = sent.post("/users", INVITATION)
    assert done.status_code == 200, done.content
    user = User.objects.get(email="pat@northwind.example")
    assert user.is_staff and not user.has_usable_password()
    assert [message.to for message in mail.outbox] == [["pat@northwind.example"]]
    again = sent.post("/users", {**INVITATION, "email": "PAT@northwind.example"})
    assert problem(again, 422) == "invalid" and again.json()["errors"][0]["place"] == "body.email"
    assert problem(sent.post("/users", {**INVITATION, "email": "no address"}), 422) == "invalid"
    keyed = sent.post("/users", {**INVITATION, "email": "kim@northwind.example"}, Idempotency_Key="a")
    assert problem(keyed, 422) == "invalid" and not User.objects.filter(email="kim@northwind.example").exists()
    assert problem(program(alice).post("/users", INVITATION), 403) == "forbidden"


def test_only_who_sees_accounts_on_the_screens_reads_them(organization, program):
    found = {}
    for letter, role in LETTERS.items():
        one = program(person(f"reader-{letter}", role))
        for address in ("/users", "/roles", "/rights-changes", "/connections", "/webhooks"):
            found.setdefault(address, "")
            if one.call("GET", address).status_code == 200:
                found[address] += letter
    screens = {"/users": "auth_user", "/rights-changes": "subscriptions_rightschange"}
    screens |= {"/roles": "auth_user", "/connections": "integrations_connection"}
    expected = {address: LISTS[name].replace("S", "") for address, name in screens.items()}
    # The page of webhooks is no list of the admin: see the row of its URL in the role matrix.
    assert found == expected | {"/webhooks": "CU"}
