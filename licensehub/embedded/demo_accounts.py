"""The accounts of the demo: one for each role, with the name and the address of somebody who works every day."""

from __future__ import annotations

import json
import os
import secrets
from typing import Final

from django.conf import settings
from django.contrib.auth.models import Group, User
from django.db import transaction

from integrations.models import IntegrationProfile
from licensehub.audit.actions import Action
from licensehub.audit.log import record
from licensehub.embedded.errors import CannotRunError
from licensehub.sign_in.factors import credentials
from subscriptions.accounts.persons import find_everywhere
from subscriptions.accounts.rights_changes import CONSOLE, follow
from subscriptions.models import Subscription, Verdict

# Username -> role. Nobody here is a superuser.
ACCOUNTS: Final = {
    "admin": "Company admin",
    "manager": "License manager",
    "approver": "Approver",
    "auditor": "Auditor",
    "operator": "Operator",
}


def account(username: str) -> User:
    return User.objects.get(username=username)


def ensure_accounts() -> dict[str, str]:
    """Username -> password. Made at the first start, and kept beside the database in a file of mode 0600."""
    file = settings.VAR_DIR / "demo-accounts.json"
    passwords = json.loads(file.read_text()) if file.exists() else {}
    for username, role in ACCOUNTS.items():
        passwords.setdefault(username, secrets.token_urlsafe(12))
        _ensure_account(username, role, passwords[username])
    with os.fdopen(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as handle:
        handle.write(json.dumps(passwords))
    return dict(passwords)


def _ensure_account(username: str, role: str, password: str) -> None:
    with transaction.atomic():
        user, made = User.objects.get_or_create(username=username, defaults={"is_staff": True})
        if made or not user.check_password(password):
            user.set_password(password)
            user.save(update_fields=["password"])
            data = {"by": "demo", credentials.ALL: [credentials.of_password(user)]}
            record(Action.ACCOUNT_CONFIRMED, actor=None, target=user, data=data)
        user.groups.add(Group.objects.get(name=role))
        follow(actor=None, accounts=User.objects.filter(pk=user.pk), at_once=CONSOLE)


def employ_accounts(profile: IntegrationProfile) -> None:
    """Make each account that of a person who was active lately, as in a real company: then own seats are known.

    Does nothing the second time. Raises CannotRunError when the download has too few such people.
    """
    new = list(User.objects.filter(username__in=ACCOUNTS, email="").order_by("pk"))
    people = _people(profile)
    if len(people) < len(new):
        raise CannotRunError("Too few people were active lately to be the colleagues of the demo.")
    for user, person in zip(new, people, strict=False):
        user.first_name, user.last_name = person.given_name, person.name.removeprefix(person.given_name).strip()
        user.email = person.email
        user.save(update_fields=["first_name", "last_name", "email"])
        find_everywhere(user)


def _people(profile: IntegrationProfile) -> list[Subscription]:
    """The last active ones. Names and addresses are plain, since many screens show them."""
    lately = Subscription.objects.filter(profile=profile, gone_at=None, evaluation__verdict=Verdict.ACTIVE)
    rows = lately.exclude(email__contains="+").order_by("-last_activity_at", "pk")[:200]
    taken = set(User.objects.values_list("email", flat=True))
    plain = [row for row in rows if row.name.isascii() and row.given_name and row.email == row.email.lower()]
    return [row for row in plain if row.name.startswith(row.given_name) and row.email not in taken]
