"""Django's command, which also refuses a weak password that comes from the environment."""

from __future__ import annotations

import os
from typing import Any

from django.contrib.auth.management.commands import createsuperuser
from django.contrib.auth.models import User
from django.contrib.auth.password_validation import validate_password
from django.core.exceptions import ValidationError
from django.core.management.base import CommandError

PASSWORD = "DJANGO_SUPERUSER_PASSWORD"  # noqa: S105 - the name of a variable


class Command(createsuperuser.Command):
    def handle(self, *args: Any, **options: Any) -> None:
        password = os.environ.get(PASSWORD)
        if not options["interactive"] and password is not None:
            person = User(username=options.get("username") or "", email=options.get("email") or "")
            try:
                validate_password(password, person)
            except ValidationError as problem:
                raise CommandError(f"{PASSWORD}: {' '.join(problem.messages)}") from problem
        super().handle(*args, **options)
