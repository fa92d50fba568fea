"""`manage.py evidence_pack R-0139`, `--person ADDRESS`, or `--from DAY --to DAY`: write evidence into a zip file."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser

from subscriptions.errors import Refused
from subscriptions.evidence.pack import make_pack
from subscriptions.evidence.scope import Scope, scope_of_period, scope_of_person, scope_of_request
from subscriptions.management.find_person import find_person
from subscriptions.models import ReclaimRequest


class Command(BaseCommand):
    help = (
        "Write the evidence of one request, one person or one period into a zip file that an auditor can check alone."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("request", nargs="?", help="the number of a request, e.g. R-0139")
        parser.add_argument("--person", help="the e-mail address or the vendor's id of one person")
        parser.add_argument("--from", dest="first", type=date.fromisoformat, help="the first day of a period")
        parser.add_argument("--to", dest="last", type=date.fromisoformat, help="the last day of a period")
        languages = [code for code, _ in settings.LANGUAGES]
        parser.add_argument("--language", choices=languages, default=settings.DEFAULT_LANGUAGE)
        parser.add_argument("--output", type=Path, default=Path(), help="a folder; the current one by default")

    def handle(self, *args: Any, **options: Any) -> None:
        scope = _scope(options)
        folder: Path = options["output"]
        if not folder.is_dir():
            raise CommandError(f"{folder} is not a folder.")
        unnamed = folder / f".evidence-{scope.name}.part"
        try:
            with unnamed.open("xb") as file:
                pack = make_pack(scope, file, language=options["language"], actor=None)
            path = unnamed.replace(folder / pack.name)
        except (Refused, OSError) as error:
            raise CommandError(str(error)) from error
        finally:
            unnamed.unlink(missing_ok=True)
        self.stdout.write(f"{path}: as of event {pack.as_of}, SHA-256 of its manifest {pack.digest}")


def _scope(options: dict[str, Any]) -> Scope:
    period = options["first"] or options["last"]
    if sum(map(bool, (options["request"], options["person"], period))) != 1:
        raise CommandError("Name one request, or --person, or --from and --to.")
    if options["request"]:
        return scope_of_request(_request(options["request"]))
    if options["person"]:
        return scope_of_person(find_person(options["person"]))
    if not (options["first"] and options["last"] and options["first"] <= options["last"]):
        raise CommandError("A period has a first day (--from) and a last day (--to), which is not before the first.")
    return scope_of_period(options["first"], options["last"])


def _request(number: str) -> ReclaimRequest:
    digits = number.upper().removeprefix("R-")
    found = ReclaimRequest.objects.filter(pk=int(digits)).first() if digits.isdecimal() else None
    if found is None:
        raise CommandError(f"There is no request {number}. Its number is e.g. R-0139, as the list of approvals has it.")
    return found
