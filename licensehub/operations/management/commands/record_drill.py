"""`manage.py record_drill RESULT`: after a backup was restored on another machine, and checked."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from licensehub.operations.backups import NoBackup, record_drill


class Command(BaseCommand):
    help = "Record that a backup was restored elsewhere and checked, for the doctor, Operations and the audit."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("result", help='a sentence, e.g. "Restored in 4 minutes, verify_audit found nothing"')

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            record_drill(options["result"])
        except NoBackup as error:
            raise CommandError(str(error)) from error
        self.stdout.write("Recorded: a restore drill.")
