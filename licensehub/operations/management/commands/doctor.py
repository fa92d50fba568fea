"""`manage.py doctor`: run all checks of this installation, and say what to do next."""

from __future__ import annotations

import json
import logging
import sys
from typing import Any

from django.core.exceptions import ValidationError
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.core.validators import validate_email
from django.db import DatabaseError

from integrations.models import CheckResult
from licensehub.build import version
from licensehub.operations.doctor import checks as _all_checks  # noqa: F401 - importing registers them
from licensehub.operations.doctor.checks.mail import send_to
from licensehub.operations.doctor.findings import Finding, Level, run_checks, worst

SIGNS = {Level.OK: "ok  ", Level.NONE: "none", Level.LOOK: "look", Level.ACT: "ACT "}


class Command(BaseCommand):
    help = (
        "Check everything about this installation that can be checked, and say what to do next. Nothing is changed. "
        "Exit code: 0 all is well, 1 look at something in the daytime, 2 something does not work."
    )
    # `check` is one of the checks, and a missing migration is, too.
    requires_system_checks: list[str] = []
    requires_migrations_checks = False

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--json", action="store_true", help="write one object of JSON instead of lines")
        parser.add_argument("--send-mail-to", metavar="ADDRESS", default="", help="really send a test mail there")

    def handle(self, *args: Any, **options: Any) -> None:
        if address := options["send_mail_to"]:
            try:
                validate_email(address)
            except ValidationError as error:
                raise CommandError("ADDRESS is not an e-mail address.") from error
        if options["verbosity"] < 2:
            # The findings say what failed; the tracebacks are for -v 2.
            logging.getLogger("licensehub.operations.doctor").setLevel(logging.CRITICAL + 1)
        found = run_checks(memory=_memory())
        if address:
            found["sent_mail"] = send_to(address)
        self.stdout.write(as_json(found) if options["json"] else as_text(found))
        if code := worst(found.values()).rank:
            sys.exit(code)


def _memory() -> dict[str, dict[str, Any]]:
    """Return the notes of the checks in the workers, e.g. since when a key is known. This command writes none."""
    try:
        return {row.check_id: row.memory for row in CheckResult.objects.all()}
    except DatabaseError:
        return {}


def as_json(found: dict[str, Finding]) -> str:
    """`{"version", "level", "checks": [{"id", "level", "title", "value", "detail", "waits", "since", "next"}]}`."""
    rows = [
        {
            "id": name,
            "level": one.level,
            "title": one.title,
            "value": one.value,
            "detail": one.detail,
            "waits": one.waits,
            "since": one.since.isoformat() if one.since else None,
            "next": [{"text": step.text, "command": step.command} for step in one.steps],
        }
        for name, one in found.items()
    ]
    return json.dumps({"version": version(), "level": worst(found.values()), "checks": rows}, indent=2)


def as_text(found: dict[str, Finding]) -> str:
    """The worst first, each with what to do; then a line for each check that is well."""
    lines = [f"LicenseHub {version()}", ""]
    for name, one in sorted(found.items(), key=lambda item: -item[1].level.rank):
        value = f" ({one.value})" if one.value else ""
        lines.append(f"{SIGNS[one.level]}  {name}: {one.title}{value}")
        if not one.level.rank:
            continue
        since = f"Since {one.since:%Y-%m-%d %H:%M} UTC. " if one.since else ""
        # What a server answered may have no full stop.
        lines += [f"      {part}" for part in (f"{since}{one.waits}".strip(), one.detail) if part]
        for place, step in enumerate(one.steps, start=1):
            lines.append(f"      {place}. {step.text}")
            lines += [f"         $ {step.command}"] if step.command else []
        lines.append("")
    counts = {level: sum(one.level == level for one in found.values()) for level in Level}
    lines += [
        "",
        f"{counts[Level.ACT]} to act on, {counts[Level.LOOK]} to look at, {counts[Level.OK]} well, "
        f"{counts[Level.NONE]} with nothing to check yet.",
    ]
    return "\n".join(lines)
