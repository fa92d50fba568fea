"""`manage.py compile_catalogs`: writes the .mo files that Django reads, where they are missing or older."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand

from licensehub.translations.catalogs import compile_stale


class Command(BaseCommand):
    """Run it after each installation of a version."""

    help = "Compile the translations. Without it, all pages and mails are English."
    requires_system_checks = ()

    def handle(self, *args: Any, **options: Any) -> None:
        for path in compile_stale():
            self.stdout.write(f"wrote {path}")
