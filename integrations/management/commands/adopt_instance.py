"""`manage.py adopt_instance`: says that this database belongs to this installation, and is no copy."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from integrations.installation import instance


class Command(BaseCommand):
    help = (
        "Adopt this database: it is the right one for this installation (INSTANCE_ID), and no copy of another one's. "
        "Sending that is held stays held until an admin releases it."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--yes", action="store_true", help="no other instance works with the same connections")

    def handle(self, *args: Any, **options: Any) -> None:
        if not options["yes"]:
            raise CommandError("Disconnect the copied connections first, or say --yes: no other instance uses them.")
        try:
            adopted = instance.adopt(actor=None)
        except instance.NoInstanceId as error:
            raise CommandError(str(error)) from error
        self.stdout.write("This database is adopted." if adopted else "This database is adopted already.")
