"""`manage.py mcp`: let an assistant read LicenseHub, and prepare requests, over standard input and output."""

from __future__ import annotations

import json
import os
import sys
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser

from licensehub.api.client.transport import Caller, is_safe
from licensehub.api.management.commands.openapi import FILE
from licensehub.api.mcp.server import serve
from licensehub.api.mcp.tools import tools

TOKEN = "LICENSEHUB_TOKEN"  # noqa: S105 - the name of a variable


class Command(BaseCommand):
    help = (
        "Serve the Model Context Protocol on standard input and output. The token comes from the variable "
        f"{TOKEN}. The tools read, and make requests; none decides."
    )
    requires_system_checks: Any = ()

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--url", default=settings.PUBLIC_URL, help="where LicenseHub answers (PUBLIC_URL)")

    def handle(self, *args: Any, **options: Any) -> None:
        token = os.environ.get(TOKEN, "").strip()
        if not token:
            raise CommandError(f"Put an API token into the variable {TOKEN}. Its role Auditor reads everything.")
        if not is_safe(options["url"]):
            raise CommandError("--url begins with https://. Over http, others could read the token.")
        try:
            caller = Caller(options["url"], token)
        except ValueError as error:
            raise CommandError(f"{TOKEN}: {error}") from None
        document = json.loads((settings.BASE_DIR / FILE).read_text())
        serve(tools(document), caller, sys.stdin, sys.stdout)
