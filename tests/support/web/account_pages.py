"""The forms that an admin sends on the pages of accounts and of changes of rights."""

from __future__ import annotations

from typing import cast
from urllib.parse import urlsplit

from django.contrib.auth.models import Group, User
from django.http import HttpResponse
from django.test import Client
from django.urls import reverse

from licensehub.site.accounts.invitations import link_for
from subscriptions.models import ChangeState, RightsChange
from subscriptions.sweep import repair
from tests.support.people.organization import page, said
from tests.support.people.rights import announced_a_day_ago
from tests.support.web.pages import text_of


def signed_in(user: User) -> Client:
    client = Client()
    client.force_login(user)
    return client


def role(name: str) -> str:
    return str(Group.objects.get(name=name).pk)


def account_form(user: User, **others: object) -> dict[str, object]:
    """The page of an account as it is, with these changes."""
    groups = [str(pk) for pk in user.groups.values_list("pk", flat=True)]
    return {
        "username": user.username,
        "email": user.email,
        "is_active": "on",
        "is_staff": "on",
        "groups": groups,
        **others,
    }


def save(client: Client, user: User, **others: object) -> str:
    answer = client.post(reverse("admin:auth_user_change", args=[user.pk]), account_form(user, **others), follow=True)
    return text_of(answer)


def invite(client: Client, name: str, *roles: str) -> User:
    groups = [role(one) for one in roles]
    words = {"first_name": name.title(), "last_name": "Ghost", "email": f"{name}@northwind.example", "groups": groups}
    client.post(reverse("admin:auth_user_add"), words)
    return User.objects.get(email=f"{name}@northwind.example")


def join(user: User) -> Client:
    """Choose a password with the link of the invitation. Returns the browser, which is signed in."""
    client = Client()
    page = client.get(urlsplit(link_for(User.objects.get(pk=user.pk))).path, follow=True)
    words = {"new_password1": "a long and new one", "new_password2": "a long and new one"}
    assert client.post(page.redirect_chain[-1][0], words)["Location"] == reverse("admin:index")
    user.refresh_from_db()
    return client


def change_for(user: User, kind: str = "grant") -> RightsChange:
    return RightsChange.objects.get(account=user, kind=kind, state=ChangeState.WAITING)


def press(client: Client, button: str, change: RightsChange, **words: object) -> str:
    return said(cast(HttpResponse, client.post(page("rightschange", button, change.pk), words)))


def a_day_later() -> None:
    """The mails were handed over a day ago, and the sweep runs."""
    announced_a_day_ago()
    repair()
