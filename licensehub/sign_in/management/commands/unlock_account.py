"""`manage.py unlock_account USERNAME`: for somebody whom a stranger keeps out, e.g. the emergency account."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.contrib.auth.models import User
from django.core.management.base import BaseCommand, CommandError
from django.db import transaction

from licensehub.audit.actions import Action
from licensehub.audit.log import Row, record_rows
from licensehub.sign_in.events import ACCOUNT
from licensehub.sign_in.passwords.unlocking import MINUTES, unlock

if TYPE_CHECKING:
    from argparse import ArgumentParser


class Command(BaseCommand):
    help = f"End the pause of one account after wrong passwords, and begin none for it in {MINUTES} minutes."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("username")

    def handle(self, *_: Any, username: str, **__: Any) -> None:
        user = User.objects.filter(username=username).first()
        if user is None:
            raise CommandError(f"There is no account “{username}”.")
        with transaction.atomic():
            unlock(user)
            rows = [Row(ACCOUNT, user.pk, username, {"by": "unlock_account", "minutes": MINUTES})]
            record_rows(Action.SIGN_IN_UNLOCKED, actor=None, rows=rows)
        self.stdout.write(
            f"{username} can sign in now. For {MINUTES} minutes, only the wrong passwords of each address are counted."
        )
