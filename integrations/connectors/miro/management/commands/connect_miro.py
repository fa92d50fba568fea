"""The old name of `connect_vendor --kind miro_enterprise`. It ends with the release after 0.1.0."""

from __future__ import annotations

from typing import Any

from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandParser


class Command(BaseCommand):
    help = "Deprecated: use connect_vendor NAME --kind miro_enterprise."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("name")
        parser.add_argument("--organization", required=True, metavar="ID")
        parser.add_argument("--access-token-env", required=True, metavar="VAR")
        parser.add_argument("--scim-token-env", required=True, metavar="VAR")
        parser.add_argument("--publish", action="store_true")

    def handle(self, *args: Any, **options: Any) -> None:
        self.stderr.write("connect_miro is the old name of connect_vendor --kind miro_enterprise.")
        call_command(
            "connect_vendor",
            options["name"],
            kind="miro_enterprise",
            organization=options["organization"],
            token_env=[f"rest={options['access_token_env']}", f"scim={options['scim_token_env']}"],
            publish=options["publish"],
            stdout=self.stdout,
        )
