"""`manage.py record_backup FILE`: the last step of the script that makes the backup."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from licensehub.operations.backups import NoBackup, record_backup


class Command(BaseCommand):
    help = "Record that this file is a backup that was made now, for the doctor, Operations and the audit."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("file", type=Path)

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            size = record_backup(options["file"])
        except NoBackup as error:
            raise CommandError(str(error)) from error
        self.stdout.write(f"Recorded: a backup of {size:,} bytes.")
