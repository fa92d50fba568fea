"""`manage.py dump`: write the configuration as YAML, without secrets."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand

from licensehub.configuration.document import as_yaml, dump


class Command(BaseCommand):
    help = "Write profiles, rules, schedules, prices, protections and roles as YAML, without any secret."

    def handle(self, *args: Any, **options: Any) -> None:
        self.stdout.write(as_yaml(dump()), ending="")
