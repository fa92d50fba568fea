"""Verify the audit: every event, the head of the chain, the checkpoint and all anchors that can be read."""

from __future__ import annotations

import sys
from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from licensehub.audit.chain.offline_verifier import as_json, as_text
from licensehub.audit.chain.verify import verify


class Command(BaseCommand):
    help = "Check that nothing in the audit was changed. Ends with 1 if something was."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--json", action="store_true", help="print the result for a program")

    def handle(self, *args: Any, **options: Any) -> None:
        report = verify()
        self.stdout.write(as_json(report) if options["json"] else as_text(report), ending="")
        if report.findings:
            sys.exit(1)
