"""Write an extract of the audit, for somebody who checks it without LicenseHub: see docs/audit.md."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from licensehub.audit.chain.extract import NothingToExtract, write_extract


class Command(BaseCommand):
    help = "Write the events of the audit as JSON lines, so that an auditor can check them alone."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("file", help="the file to write; it must not exist")
        parser.add_argument("--first", type=int, default=1, help="the first event; default: 1")
        parser.add_argument("--last", type=int, help="the last event; default: the last one that there is")

    def handle(self, *args: Any, **options: Any) -> None:
        path = Path(options["file"])
        try:
            with path.open("x", encoding="utf-8") as file:
                path.chmod(0o600)
                written = write_extract(file, first=options["first"], last=options["last"])
        except FileExistsError:
            raise CommandError(f"{path} exists. Choose another name, or remove it.") from None
        except OSError as problem:
            raise CommandError(f"{path} cannot be written: {problem.strerror}.") from problem
        except NothingToExtract as problem:
            path.unlink()
            raise CommandError(str(problem)) from problem
        self.stdout.write(f"{written:,} events were written to {path}. docs/audit.md says how to check them.")
