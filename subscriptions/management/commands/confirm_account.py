"""Confirm at the console that an account belongs to its person: for a company with few people.

The right of the account to decide takes effect at once, and from now on it may decide on requests of somebody who made
it or reset it. The console is the operator's; nobody can do this in the browser. The person has to join first: an
inviter who saw the link could else join after the confirmation.
"""

from __future__ import annotations

from typing import Any

from django.contrib.auth.models import User
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import transaction

from licensehub.audit.actions import Action
from licensehub.audit.log import record
from licensehub.sign_in.factors import credentials
from subscriptions.accounts import rights, signed_identity
from subscriptions.accounts.joining import has_joined
from subscriptions.accounts.rights_changes import CONSOLE, follow


class Command(BaseCommand):
    help = "Confirm that an account belongs to its person, and let its right to decide take effect at once."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("username")

    def handle(self, *args: Any, username: str, **options: Any) -> None:
        user = User.objects.filter(username=username).first()
        if user is None:
            raise CommandError(f"There is no account “{username}”. The page Users shows the usernames.")
        if not has_joined(user) and not hasattr(user, "service_account"):
            raise CommandError(
                f"{username} has not joined, so somebody else could still use the link of the invitation. Nothing was "
                "changed. Run this command when the person has told you that they have joined."
            )
        with transaction.atomic():
            doubtful = credentials.doubts(user)
            known = [name for _kind, name in credentials.of_account(user) if name]
            data = {"by": "confirm_account", credentials.ALL: known, **signed_identity.facts_of(user)}
            # First, so that the event of the right names those who saw the link: this confirmation ends that.
            follow(actor=None, accounts=User.objects.filter(pk=user.pk), at_once=CONSOLE)
            record(Action.ACCOUNT_CONFIRMED, actor=None, target=user, data=data)
        decides = "may decide" if rights.may(user, rights.DECIDE) else "does not decide, since no role says so"
        self.stdout.write(f"{username} is confirmed, and {decides}.")
        if doubtful:
            kinds = ", ".join(doubtful)
            self.stdout.write(
                f"Until now, no signed event said that LicenseHub set this way in: {kinds}. If it is not the person's "
                "own, run remove_factors and changepassword now, and find out who can write to the database."
            )
