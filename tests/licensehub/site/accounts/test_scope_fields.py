"""The profiles on the page of an account, in its list, and the line on the pages of its owner."""

from __future__ import annotations

import pytest
from django.contrib.auth.models import Group, User
from django.test import Client
from django.urls import reverse

from integrations.models import AccountScope
from licensehub.audit.models import AuditEvent
from subscriptions.accounts import scope
from subscriptions.evidence.rows.comparison import verify_rows
from subscriptions.models import RightsChange
from tests.support.attacks import attack
from tests.support.fixtures import person
from tests.support.people.organization import Organization, limited_to, page, questions
from tests.support.web.account_pages import account_form
from tests.support.web.pages import text_of


@pytest.fixture
def admin_client(db) -> Client:
    client = Client()
    client.force_login(person("mallory", "Company admin"))
    return client


def address(user: User) -> str:
    return reverse("admin:auth_user_change", args=[user.pk])


def test_an_admin_chooses_the_profiles_of_an_account(admin_client, organization, us, bob):
    assert "The roles hold for" in text_of(admin_client.get(address(bob)))
    chosen = {"roles_hold_for": "chosen", "profiles": [str(organization.profile.pk)]}
    admin_client.post(address(bob), {**account_form(bob), "roles_hold_for": "chosen"})
    assert scope.stored_choice(bob) is None  # none is chosen
    admin_client.post(address(bob), {**account_form(bob), **chosen})
    assert scope.stored_choice(bob) == {organization.profile.pk}
    event = AuditEvent.objects.get(action="user.scope_changed")
    assert event.data == {"before": "all profiles", "after": "Northwind", "profiles": [organization.profile.pk]}
    admin_client.post(address(bob), account_form(bob))  # a form that does not send them
    assert scope.stored_choice(bob) == {organization.profile.pk}
    assert "Northwind" in text_of(admin_client.get(reverse("admin:auth_user_changelist")))

    answer = admin_client.post(address(bob), {**account_form(bob), "roles_hold_for": "all"}, follow=True)
    assert "The added profiles take effect when a second admin confirms them" in text_of(answer)
    assert scope.stored_choice(bob) == {organization.profile.pk}
    change = RightsChange.objects.get(kind="scope")
    shown = text_of(admin_client.get(reverse("admin:subscriptions_rightschange_change", args=[change.pk])))
    assert "hold for all profiles. Today they hold for Northwind" in shown
    # What auditors see is compared with the event.
    assert not [one for one in verify_rows() if one.model == User._meta.label_lower and one.field == "profiles"]
    attack("DELETE FROM integrations_accountscope_profiles")
    attack("DELETE FROM integrations_accountscope")
    assert [one.pk for one in verify_rows() if one.field == "profiles"] == [bob.pk]


def test_an_invited_person_begins_with_their_profiles(admin_client, organization, us):
    role = Group.objects.get(name="Approver").pk
    wanted = {"first_name": "Erin", "last_name": "E", "email": "erin@northwind.example", "groups": [str(role)]}
    wanted |= {"roles_hold_for": "chosen", "profiles": [str(us.profile.pk)]}
    admin_client.post(reverse("admin:auth_user_add"), wanted)
    erin = User.objects.get(username="erin@northwind.example")
    assert scope.stored_choice(erin) == {us.profile.pk}
    assert RightsChange.objects.get(account=erin).after == "Approver (Northwind US)"


def test_the_pages_say_that_they_are_a_part(organization: Organization, us: Organization, carol, as_user):
    carol.groups.set(Group.objects.filter(name="License manager"))
    client: Client = as_user(carol)
    lists = [page(name, "changelist") for name in ("subscription", "removalcandidate", "reclaimrule")]
    before = [questions(client, one) for one in lists]
    assert "Rancher" in text_of(client.get(lists[0]))
    assert "Your roles hold for" not in text_of(client.get(lists[0]))

    limited_to(carol, organization.profile)
    assert AccountScope.objects.count() == 1
    # One query more. The list of candidates also shows the caps, as for everybody with one profile.
    more = [questions(client, one) - asked for one, asked in zip(lists, before, strict=True)]
    assert max(more[0], more[2]) <= 1
    for one in [*lists, reverse("admin:index")]:
        shown = text_of(client.get(one))
        assert "Your roles hold for <strong>Northwind</strong>" in shown
        assert "Rancher" not in shown and "Northwind US" not in shown, one
    exported = b"".join(client.get(page("subscription", "export", "csv")).streaming_content)
    assert b"person3@" in exported
    assert b"rancher" not in exported.lower()
    assert "@northwind.example" not in text_of(client.get(reverse("find"), {"q": "Rancher"}))
    assert "@northwind.example" in text_of(client.get(reverse("find"), {"q": "Person"}))
