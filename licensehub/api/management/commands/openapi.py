"""`manage.py openapi`: write the OpenAPI document of the REST API, and the Python client that is made from it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from django.conf import settings
from django.core.management.base import BaseCommand

from licensehub.api.client.generate import bodies_file, calls_file, types_file
from licensehub.api.document import as_text
from licensehub.api.service import api

FILE: Final = Path("docs/api/openapi.json")
CLIENT: Final = Path("licensehub/api/client")


def files() -> Mapping[Path, str]:
    """Each file that is made from the operations of the API, with its text."""
    document = api.get_openapi_schema()
    return {
        FILE: as_text(document),
        CLIENT / "bodies.py": bodies_file(document),
        CLIENT / "types.py": types_file(document),
        CLIENT / "calls.py": calls_file(document),
    }


class Command(BaseCommand):
    help = f"Write the OpenAPI document of the REST API into {FILE}, and the client into {CLIENT}."

    def handle(self, *args: Any, **options: Any) -> None:
        for file, text in files().items():
            (settings.BASE_DIR / file).write_text(text)
            self.stdout.write(f"Wrote {file}.")
