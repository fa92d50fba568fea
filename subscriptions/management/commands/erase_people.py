"""`manage.py erase_people`: erase the people whose erasure was asked for. Run it as the owner of the database."""

from __future__ import annotations

import math
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from subscriptions.errors import NotActionable, Refused
from subscriptions.management.find_person import find_person
from subscriptions.privacy.erase import NO_RIGHTS, ask_for_erasure, may_erase
from subscriptions.privacy.retention import erase_due


class Command(BaseCommand):
    help = (
        "Erase the names and addresses of people who have left, as it was asked for. docs/privacy.md says what stays."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--person", help="first ask for the erasure of this e-mail address or vendor's id")
        parser.add_argument("--reason", default="", help="why, without the name of the person")

    def handle(self, *args: Any, **options: Any) -> None:
        if not may_erase():
            raise CommandError(NO_RIGHTS)
        if options["person"]:
            try:
                ask_for_erasure(find_person(options["person"]), actor=None, reason=options["reason"])
            except (Refused, NotActionable) as error:
                raise CommandError(str(error)) from error
        done, problems = erase_due(seconds=math.inf)
        self.stdout.write(f"People erased: {done}.")
        if problems:
            raise CommandError("\n".join(problems))
