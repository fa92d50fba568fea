"""Django's command, with an event: whoever has the console makes accounts that the audit log knows."""

from __future__ import annotations

from typing import Any

from django.contrib.auth.management.commands import createsuperuser
from django.contrib.auth.models import User
from django.db import transaction

from licensehub.audit.actions import Action
from licensehub.audit.log import record


class Command(createsuperuser.Command):
    def handle(self, *args: Any, **options: Any) -> None:
        with transaction.atomic():
            before = set(User.objects.values_list("pk", flat=True))
            super().handle(*args, **options)
            for user in User.objects.exclude(pk__in=before):
                after = {"username": user.username, "email": user.email, "superuser": user.is_superuser}
                record(Action.USER_CREATED, actor=None, target=user, data={"after": after, "by": "createsuperuser"})
