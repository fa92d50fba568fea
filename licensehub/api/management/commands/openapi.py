"""`manage.py openapi`: write the OpenAPI document of the REST API into docs/api/openapi.json."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand

from licensehub.api.document import as_text
from licensehub.api.service import api

FILE = Path("docs/api/openapi.json")


class Command(BaseCommand):
    help = f"Write the OpenAPI document of the REST API into {FILE}."

    def handle(self, *args: Any, **options: Any) -> None:
        (settings.BASE_DIR / FILE).write_text(as_text(api.get_openapi_schema()))
        self.stdout.write(f"Wrote {FILE}.")
