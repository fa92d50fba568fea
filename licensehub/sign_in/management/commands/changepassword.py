"""Django's command, with an event."""

from __future__ import annotations

from typing import Any

from django.contrib.auth.management.commands import changepassword
from django.contrib.auth.models import User
from django.db import transaction

from licensehub.audit.actions import Action
from licensehub.audit.log import record
from licensehub.sign_in.factors import credentials


class Command(changepassword.Command):
    def handle(self, *args: Any, **options: Any) -> str | None:
        hashes = dict(User.objects.values_list("pk", "password"))
        with transaction.atomic():
            answer: str | None = super().handle(*args, **options)
            for user in User.objects.filter(pk__in=hashes):
                if user.password != hashes[user.pk]:
                    data = {"by": "changepassword", credentials.ONE: credentials.of_password(user)}
                    record(Action.USER_PASSWORD_RESET, actor=None, target=user, data=data)
        return answer
