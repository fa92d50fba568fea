"""`manage.py stop_sending`: calls `integrations.sending`, for a moment when the pages cannot be reached."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from integrations import sending


class Command(BaseCommand):
    help = "Stop all sending in every profile: no new deactivation begins, and approved reclaims wait."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("reason", nargs="?", default="", help="shown on every page while sending is stopped")
        parser.add_argument("--allow", action="store_true", help="allow all sending again")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            if options["allow"]:
                sending.allow_all(actor=None)
            else:
                sending.stop_all(actor=None, reason=options["reason"])
        except sending.NotSwitched as error:
            raise CommandError(str(error)) from error
        self.stdout.write("Sending is allowed again." if options["allow"] else "All sending is stopped.")
