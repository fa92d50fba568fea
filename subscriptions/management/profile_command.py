"""The base of the commands that work on one profile."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from integrations.models import IntegrationProfile


class ProfileCommand(BaseCommand):
    """A command on the profile NAME, with a summary for people or, with --json, for programs."""

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("name", help="the name of the integration profile")
        parser.add_argument("--json", action="store_true", help="end with one line of JSON")

    def profile(self, name: str) -> IntegrationProfile:
        try:
            return IntegrationProfile.objects.get(name=name)
        except IntegrationProfile.DoesNotExist:
            known = ", ".join(f"“{profile}”" for profile in IntegrationProfile.objects.all()) or "none yet"
            raise CommandError(
                f"There is no integration profile “{name}”. Known profiles: {known}. Make one with connect_vendor."
            ) from None

    def write_json(self, summary: Mapping[str, Any]) -> None:
        self.stdout.write(json.dumps(summary))
