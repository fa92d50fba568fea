"""*Own seats* on the page of an account: what is shown, and who changes it."""

from __future__ import annotations

from django.contrib.auth.models import User
from django.urls import reverse

from subscriptions.models import AccountPerson, Subscription
from tests.support.people.notices import text_of
from tests.support.people.organization import said


def page_of(user: User) -> str:
    return reverse("admin:auth_user_change", args=[user.pk])


def test_a_company_admin_sees_and_corrects_the_seats_of_an_account(organization, alice, sign_in):
    admin = sign_in("Company admin")
    post = reverse("admin:auth_user_person", args=[alice.pk, organization.profile.pk])
    assert "Nobody at Miro has the address alice@northwind.example." in text_of(admin.get(page_of(alice)))
    assert post not in sign_in("Auditor").get(page_of(alice)).content.decode()
    assert sign_in("Auditor").post(post, {"nobody": "1"}).status_code == 403

    assert "No member of" in said(admin.post(post, {"external_id": "99"}))
    assert "Enter an ID" in said(admin.post(post, {"external_id": " "}))
    assert "alice is Person 4 in" in said(admin.post(post, {"external_id": "1004"}))
    assert "Person 4" in text_of(admin.get(page_of(alice)))
    [person] = AccountPerson.objects.all()
    assert "Removed." in said(admin.post(post, {"forget": str(person.pk)}))
    assert "removed already" in said(admin.post(post, {"forget": str(person.pk)}))
    assert "alice has no seat in" in said(admin.post(post, {"nobody": "1"}))
    assert "No seat here, entered by company.admin" in text_of(admin.get(page_of(alice)))

    me = User.objects.get(username="company.admin")
    mine = reverse("admin:auth_user_person", args=[me.pk, organization.profile.pk])
    assert mine not in admin.get(page_of(me)).content.decode()
    assert "This is your own account" in said(admin.post(mine, {"nobody": "1"}))
    assert not AccountPerson.objects.filter(user=me).exists()


def test_an_account_with_a_new_address_keeps_its_former_seat(organization, alice, sign_in):
    """The seat of the former address is noted when the account is saved, and the own address cannot be changed."""
    admin = sign_in("Company admin")
    me = User.objects.get(username="company.admin")
    Subscription.objects.filter(external_id="1004").update(email=alice.email)
    account = {"username": "alice", "is_active": "on", "is_staff": "on", "email": "alice@elsewhere.example"}
    assert admin.post(page_of(alice), account).status_code == 302
    alice.refresh_from_db()
    assert alice.email == "alice@elsewhere.example"
    assert AccountPerson.objects.get(user=alice).external_id == "1004"

    assert admin.post(page_of(me), {**account, "username": "company.admin"}).status_code == 302
    me.refresh_from_db()
    assert me.email == "company.admin@x.example"
