"""`manage.py compile_catalogs`: write the .mo files that are missing or older than their .po files."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand

from licensehub.translations.catalogs import compile_stale


class Command(BaseCommand):
    """Write the .mo files. Run it after each installation of a version."""

    help = "Compile the translations. Without it, all pages and mails are English."
    requires_system_checks = ()

    def handle(self, *args: Any, **options: Any) -> None:
        for path in compile_stale():
            self.stdout.write(f"wrote {path}")
