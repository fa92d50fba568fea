"""An invited person gets a role and a link, chooses a password with it once, and is signed in."""

from __future__ import annotations

import logging
import re

import pytest
from django.contrib.auth.models import Group, User
from django.core import mail
from django.core.mail.backends import smtp
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from licensehub.audit.models import AuditEvent
from licensehub.logs.filters import RedactLinks
from licensehub.site.accounts import invitations
from tests.support.web.pages import text_of

LINKS = re.compile(r"http://\S+(/welcome/\S+)/")
PASSWORD = {"new_password1": "a long and new one", "new_password2": "a long and new one"}


@pytest.fixture
def invited(sign_in) -> tuple[Client, User]:
    client = sign_in("Company admin")
    answer = client.post(reverse("admin:auth_user_add"), form())
    user = User.objects.get(email="zoe@northwind.example")
    assert answer.headers["Location"] == reverse("admin:auth_user_change", args=[user.pk])
    return client, user


def form(**others: object) -> dict[str, object]:
    role = Group.objects.get(name="Approver").pk
    words = {"first_name": "Zoë", "last_name": "Park", "email": "Zoe@Northwind.example", "groups": [role]}
    return {**words, **others}


def link_in(message: object) -> str:
    found = LINKS.search(message.body)
    assert found
    return f"{found[1]}/"


@pytest.mark.django_db(transaction=True)
def test_an_invited_person_chooses_a_password_once_and_is_signed_in(invited):
    admin, user = invited
    assert (user.get_username(), user.is_staff, user.is_superuser) == ("zoe@northwind.example", True, False)
    assert [group.name for group in user.groups.all()] == ["Approver"] and not user.has_usable_password()
    [message] = mail.outbox
    assert message.to == ["zoe@northwind.example"] and "as Approver" in message.body
    assert "gets a mail at zoe@northwind.example" in text_of(
        admin.get(reverse("admin:auth_user_change", args=[user.pk]))
    )

    person, link = Client(), link_in(message)
    page = person.get(link, follow=True)
    assert "You sign in as zoe@northwind.example" in text_of(page)
    assert "/licensehub/sign_in" in text_of(page), "with the style sheets of the sign-in"
    form_address = page.redirect_chain[-1][0]
    weak = person.post(form_address, {"new_password1": "12345", "new_password2": "12345"})
    assert "too short" in text_of(weak)
    answer = person.post(form_address, PASSWORD)
    assert answer.headers["Location"] == reverse("admin:index")
    assert person.get(reverse("admin:subscriptions_reclaimrequest_changelist")).status_code == 200

    assert "This link does not work" in text_of(Client().get(link, follow=True))
    kept = AuditEvent.objects.filter(target_id=str(user.pk)).order_by("pk").values_list("action", "actor_name")
    assert [*kept] == [
        ("user.created", "company.admin"),
        ("rights.asked", "company.admin"),
        ("user.invited", "company.admin"),
        ("user.joined", "zoe@northwind.example"),
        ("sign_in.done", "zoe@northwind.example"),
    ]


@pytest.mark.django_db(transaction=True)
def test_a_link_never_changes_a_password_and_ends_with_the_account(invited):
    admin, user = invited
    link = link_in(mail.outbox[0])
    user.set_password("chosen in another way")
    user.save()
    assert "This link does not work" in text_of(Client().get(link, follow=True))
    again = admin.post(reverse("admin:auth_user_invite", args=[user.pk]), follow=True)
    assert "has a password already" in text_of(again) and len(mail.outbox) == 1

    user.set_unusable_password()
    user.save()
    admin.post(reverse("admin:auth_user_invite", args=[user.pk]))
    User.objects.filter(pk=user.pk).update(is_active=False)
    assert "This link does not work" in text_of(Client().get(link_in(mail.outbox[1]), follow=True))
    record = logging.makeLogRecord({"msg": f"Not Found: {link}"})
    assert RedactLinks().filter(record) and record.getMessage() == "Not Found: /welcome/***/"


@pytest.mark.django_db(transaction=True)
def test_without_a_mail_the_inviter_gets_the_link(sign_in, settings, monkeypatch):
    def refuse(*args: object) -> None:
        raise OSError("connection refused")

    settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
    monkeypatch.setattr(smtp.EmailBackend, "open", refuse)
    page = text_of(sign_in("Company admin").post(reverse("admin:auth_user_add"), form(), follow=True))
    assert "connection refused" in page and "/welcome/" in page
    assert AuditEvent.objects.get(action="user.invited").data["problem"]


def test_the_page_speaks_of_an_invitation_in_german_too(sign_in):
    page = text_of(sign_in("Company admin").get(reverse("admin:auth_user_add"), headers={"accept-language": "de"}))
    assert "Einladung senden" in page and "schickt dieser Person einen Link" in page
    assert "After you" not in page and "weiter bearbeiten" not in page


def test_bad_entries_invite_nobody_and_only_accounts_admins_invite(sign_in, alice):
    User.objects.filter(pk=alice.pk).update(email="alice@northwind.example")
    client, address = sign_in("Company admin"), reverse("admin:auth_user_add")
    page = text_of(client.get(address))
    assert "Invite a person" in page and "password1" not in page
    taken = text_of(client.post(address, form(email="ALICE@northwind.example")))
    assert "The account “alice” has this address already." in taken
    assert "This field is required." in text_of(client.post(address, form(groups=[])))
    assert not User.objects.filter(first_name="Zoë").exists() and mail.outbox == []
    root = User.objects.create_superuser("root", "root@northwind.example")
    assert not root.has_usable_password()
    assert client.post(reverse("admin:auth_user_invite", args=[root.pk])).status_code == 403
    for role in ("Approver", "Auditor", "Operator", "License manager"):
        assert sign_in(role).post(address, form()).status_code == 403
        assert sign_in(role).post(reverse("admin:auth_user_invite", args=[alice.pk])).status_code == 403


@pytest.mark.django_db
def test_only_who_never_came_in_has_an_open_invitation():
    """Somebody who signs in by single sign-on has no password, but has no open invitation either."""
    user = User(username="zoe", is_staff=True)
    user.set_unusable_password()
    assert invitations.is_open(user)
    for name, value in {"is_active": False, "is_staff": False, "last_login": timezone.now()}.items():
        kept = getattr(user, name)
        setattr(user, name, value)
        assert not invitations.is_open(user), name
        setattr(user, name, kept)
    user.set_password("chosen")
    assert not invitations.is_open(user)
