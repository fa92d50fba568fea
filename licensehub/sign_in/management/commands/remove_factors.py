"""`manage.py remove_factors USERNAME`: for somebody who has lost the second factor and the recovery codes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from allauth.mfa.models import Authenticator
from django.contrib.auth.models import User
from django.core.management.base import BaseCommand, CommandError
from django.db import transaction

from licensehub.sign_in.sessions import sessions

if TYPE_CHECKING:
    from argparse import ArgumentParser


class Command(BaseCommand):
    help = "Remove the second factors and recovery codes of one account, and end its sessions."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("username")

    def handle(self, *_: Any, username: str, **__: Any) -> None:
        user = User.objects.filter(username=username).first()
        if user is None:
            raise CommandError(f"There is no account “{username}”.")
        with transaction.atomic():
            rows = list(Authenticator.objects.filter(user=user))
            for row in rows:
                row.delete()
            sessions.end_everywhere(user, why="second factors removed")
        self.stdout.write(
            f"{len(rows)} removed. {username} sets up a new one at the next sign-in if the role needs one."
        )
