"""Send what is approved and due for one profile, now."""

from __future__ import annotations

from io import StringIO
from typing import Any

from django.core.management.base import CommandError, CommandParser
from rich.console import Console
from rich.table import Table

from integrations.connectors.contract import ConnectorError
from integrations.models import IntegrationProfile
from subscriptions import sweep
from subscriptions.dry_run import dry_run
from subscriptions.holds import hold_on
from subscriptions.management.profile_command import ProfileCommand
from subscriptions.reclaim import reclaim_due

A_DAY = 24 * 60 * 60.0


class Command(ProfileCommand):
    help = "Send what is approved and due for the profile NAME: deactivate at Miro, read back, settle."

    def add_arguments(self, parser: CommandParser) -> None:
        super().add_arguments(parser)
        parser.add_argument("--dry-run", action="store_true", help="decide on each person, and send nothing")

    def handle(self, *args: Any, **options: Any) -> None:
        profile = self.profile(options["name"])
        summary = self._preview(profile) if options["dry_run"] else self._send(profile)
        if options["json"]:
            self.write_json(summary)

    def _send(self, profile: IntegrationProfile) -> dict[str, Any]:
        sweep.repair()
        sweep.read_back_doubts(profile)
        tally = reclaim_due(profile, seconds=A_DAY).as_dict()
        self.stdout.write(", ".join(f"{n} {name.replace('_', ' ')}" for name, n in tally.items()) + ".")
        if hold := hold_on(profile):
            self.stdout.write(f"Nothing is sent now: {hold.label.lower()}. What is approved waits and is not lost.")
        return tally

    def _preview(self, profile: IntegrationProfile) -> dict[str, Any]:
        try:
            rows = dry_run(profile)
        except ConnectorError as error:
            raise CommandError(f"{error.message} Nothing was decided, nothing was sent.") from error
        table = Table("Person", "Request", "What would happen", title="Dry run: nothing is sent")
        for row in rows:
            table.add_row(row.person, row.request, row.sentence)
        text = StringIO()
        Console(width=120, file=text).print(table)
        self.stdout.write(text.getvalue())
        would_send = sum(row.would_send for row in rows)
        return {"dry_run": True, "would_send": would_send, "would_not_send": len(rows) - would_send}
