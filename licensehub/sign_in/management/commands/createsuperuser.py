"""Django's command, with an event, so that the audit log knows the accounts that somebody made at the console.

A weak password is refused, also one from the environment, which Django takes as it is.
"""

from __future__ import annotations

import os
from typing import Any, Final

from django.contrib.auth.management.commands import createsuperuser
from django.contrib.auth.models import User
from django.contrib.auth.password_validation import validate_password
from django.core.exceptions import ValidationError
from django.core.management.base import CommandError
from django.db import transaction

from licensehub.audit.actions import Action
from licensehub.audit.log import record
from licensehub.sign_in.factors import credentials

PASSWORD: Final = "DJANGO_SUPERUSER_PASSWORD"  # noqa: S105 - the name of a variable


class Command(createsuperuser.Command):
    def handle(self, *args: Any, **options: Any) -> None:
        if not options["interactive"]:
            _refuse_weak_password(options)
        with transaction.atomic():
            before = set(User.objects.values_list("pk", flat=True))
            super().handle(*args, **options)
            for user in User.objects.exclude(pk__in=before):
                after = {"username": user.username, "email": user.email, "superuser": user.is_superuser}
                data = {"after": after, "by": "createsuperuser", credentials.ONE: credentials.of_password(user)}
                record(Action.USER_CREATED, actor=None, target=user, data=data)


def _refuse_weak_password(options: dict[str, Any]) -> None:
    password = os.environ.get(PASSWORD)
    if password is None:
        return
    person = User(username=options.get("username") or "", email=options.get("email") or "")
    try:
        validate_password(password, person)
    except ValidationError as problem:
        raise CommandError(f"{PASSWORD}: {' '.join(problem.messages)}") from problem
