"""`manage.py apply FILE`: bring LicenseHub to what a file says, in one transaction; `--plan` only shows it."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import click
from django.core.management.base import BaseCommand, CommandError, CommandParser

from licensehub.command_line.access import read_token
from licensehub.command_line.exit_codes import Exit
from licensehub.command_line.output import printable
from licensehub.configuration.apply import CannotApply, NotDone, apply, caller_of, is_open
from licensehub.configuration.changes import Plan
from licensehub.configuration.document import plan_of
from licensehub.configuration.reading import Wrong, read_file


class Command(BaseCommand):
    help = (
        "Bring profiles, rules, schedules, prices, protections and roles to what FILE says: all of it in one "
        "transaction, or nothing. Your API token says who you are. Exit code: 0 nothing differs any more, 2 the file "
        "is wrong, 3 refused, 4 no valid token, 7 something differs (with --plan), or still does."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("file", metavar="FILE", type=Path)
        parser.add_argument("--plan", action="store_true", help="only show what differs; needs no token")
        parser.add_argument("--prune", action="store_true", help="end protections and prices that FILE does not have")
        parser.add_argument("--token-file", default="", help="a file with your API token, readable by you only")
        parser.add_argument("--json", action="store_true", help="print JSON for programs")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            entry = read_file(options["file"])
            if options["plan"]:
                found = plan_of(entry, prune=options["prune"])
            else:
                found = apply(entry, caller_of(self._token(options["token_file"])), prune=options["prune"])
        except Wrong as wrong:
            code = Exit.REFUSED if isinstance(wrong, NotDone) else Exit.USAGE
            raise CommandError(printable(f"{wrong} Nothing was changed."), returncode=code) from wrong
        except CannotApply as refusal:
            raise CommandError(f"{refusal} Nothing was changed.", returncode=Exit.NOT_ALLOWED) from refusal
        self._show(found, as_json=options["json"], planned=options["plan"])

    def _token(self, file: str) -> str:
        try:
            return read_token(file)
        except click.UsageError as error:
            raise CommandError(error.message, returncode=Exit.USAGE) from error

    def _show(self, found: Plan, *, as_json: bool, planned: bool) -> None:
        if as_json:
            changes = [
                {"kind": one.kind.name.lower(), "what": one.what, "text": one.text, "place": str(one.place)}
                for one in found.changes
            ]
            self.stdout.write(
                json.dumps({"changes": changes, "mistakes": [str(one) for one in found.mistakes]}, indent=2)
            )
        else:
            for change in found.changes:
                self.stdout.write(printable(str(change)))
        if found.mistakes:
            text = "\n".join(printable(str(mistake)) for mistake in found.mistakes)
            raise CommandError(f"{text}\nNothing was changed.", returncode=Exit.USAGE)
        left = [one for one in found.changes if planned or is_open(one)]
        if not as_json:
            self.stdout.write(_summary(len(found.changes), len(left), planned))
        if left:
            sys.exit(Exit.DIFFERENT)


def _summary(count: int, left: int, planned: bool) -> str:
    if not count:
        return "Nothing differs."
    if planned:
        return f"Differences: {count}. Nothing was changed."
    open_ones = f" Differences that stay: {left}, see the lines with - and !." if left else ""
    return f"Differences that were applied: {count - left}.{open_ones}"
