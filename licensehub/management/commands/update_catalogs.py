"""`manage.py update_catalogs`: brings the .po files up to date with the marked strings of the sources."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand

from licensehub.translations.catalogs import AREAS, LANGUAGES, compile_stale, extracted, update


class Command(BaseCommand):
    """Update the .po files, and print how many strings still need a translation."""

    help = "Find the strings to translate, and write them into the .po files. Translations are kept."
    requires_system_checks = ()

    def handle(self, *args: Any, **options: Any) -> None:
        marked = extracted()
        for area in AREAS:
            for language in LANGUAGES:
                catalog = update(area, language, marked[area.name])
                empty = sum(not all(_texts(message.string)) for message in catalog if message.id)
                self.stdout.write(f"{area.name}, {language}: {len(catalog)} strings, {empty} to translate")
        compile_stale()


def _texts(string: Any) -> tuple[str, ...]:
    return string if isinstance(string, tuple) else (string,)
