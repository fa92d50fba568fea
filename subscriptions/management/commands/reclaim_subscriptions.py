"""Send what is approved and due for one profile, now, or try it first in a dry run."""

from __future__ import annotations

from io import StringIO
from typing import Any

from django.core.management.base import CommandError, CommandParser
from rich.console import Console
from rich.table import Table

from integrations.connectors.contract import ConnectorError
from integrations.models import IntegrationProfile
from licensehub.ui.lists.id_filter import is_id
from subscriptions import sweep
from subscriptions.approvals.dry_run import DryRun, Ending, summary, try_queue, try_request
from subscriptions.errors import NotActionable
from subscriptions.management.profile_command import ProfileCommand
from subscriptions.models import ReclaimRequest
from subscriptions.reclaims.engine import reclaim_due
from subscriptions.reclaims.holds import profile_hold
from subscriptions.turns import Turn


class Command(ProfileCommand):
    help = "Send what is approved and due for the profile NAME: deactivate people at the vendor, and read back."

    def add_arguments(self, parser: CommandParser) -> None:
        super().add_arguments(parser)
        parser.add_argument("--dry-run", action="store_true", help="show what would happen, and send nothing")
        parser.add_argument("--request", metavar="R-0142", help="with --dry-run: only this request, approved or not")

    def handle(self, *args: Any, **options: Any) -> None:
        profile = self.profile(options["name"])
        if options["request"] and not options["dry_run"]:
            raise CommandError("--request works only with --dry-run. Sends always go in the order of the approvals.")
        result = self._preview(profile, options["request"]) if options["dry_run"] else self._send(profile)
        if options["json"]:
            self.write_json(result)

    def _send(self, profile: IntegrationProfile) -> dict[str, Any]:
        sweep.repair()
        sweep.read_back_doubts(profile)
        tally = reclaim_due(profile, turn=Turn()).as_dict()
        self.stdout.write(", ".join(f"{n} {name.replace('_', ' ')}" for name, n in tally.items()) + ".")
        if hold := profile_hold(profile):
            self.stdout.write(f"Nothing is sent now: {hold.label.lower()}. What is approved waits and is not lost.")
        return tally

    def _preview(self, profile: IntegrationProfile, number: str | None) -> dict[str, Any]:
        try:
            tried = try_request(_request(profile, number)) if number else try_queue(profile)
        except ConnectorError as error:
            raise CommandError(f"{error.message} Nothing was decided or sent.") from error
        except NotActionable as error:
            raise CommandError(str(error)) from error
        self.stdout.write(_table(tried))
        self.stdout.write(summary(tried))
        return {
            "dry_run": True,
            "would_send": tried.count(Ending.SEND),
            "would_not_send": tried.count(Ending.NOT_SENT),
            "would_wait": tried.count(Ending.HOLD),
        }


def _request(profile: IntegrationProfile, number: str) -> ReclaimRequest:
    digits = number.strip().upper().removeprefix("R-")
    found = profile.requests.filter(pk=int(digits)).first() if is_id(digits) else None
    if found is None:
        raise CommandError(f"“{profile}” has no request {number}. The Approvals page lists them, such as R-0142.")
    return found


def _table(tried: DryRun) -> str:
    table = Table("Person", "Request", "What would happen", title="Dry run: nothing is sent")
    for row in tried.rows:
        table.add_row(row.person, row.request, row.sentence)
    text = StringIO()
    Console(width=120, file=text).print(table)
    return text.getvalue()
