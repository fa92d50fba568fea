"""The catalogs of translations: which strings belong to which catalog, and the files that Django reads.

A .po file is edited by people and committed. The .mo file beside it is made from it, on each machine.
"""

from __future__ import annotations

import io
import os
import tempfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from babel.messages.catalog import Catalog
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po, write_po
from django.conf import settings

from licensehub.translations.extraction import add_messages, sources

# English is the language of the sources.
LANGUAGES: Final = ("de",)
# Not translated: only operators or the vendor read these. See "Languages" in docs/style-guide.md.
NOT_TRANSLATED: Final = (
    "licensehub/embedded",
    "licensehub/translations",
    "licensehub/checks/configuration.py",
    "licensehub/checks/stored.py",
    "licensehub/settings",
)
NOT_TRANSLATED_FOLDERS: Final = frozenset({"management", "migrations", "sandbox"})
# These headers change with each run. They would be a conflict in each merge.
_RESTLESS: Final = ("POT-", "PO-", "Last-Translator", "Language-Team", "Generated-By", "Project-", "Report-")


@dataclass(frozen=True, slots=True)
class Area:
    """One catalog, and the folders with its strings.

    If a folder of another area is inside, its strings belong to that area.
    """

    name: str
    folders: tuple[str, ...]

    def po(self, language: str) -> Path:
        return settings.BASE_DIR / self.name / "locale" / language / "LC_MESSAGES" / "django.po"


# Each connector has the strings of its vendor in its own folder.
CONNECTORS: Final = sorted(
    path.parent.relative_to(settings.BASE_DIR).as_posix()
    for path in settings.BASE_DIR.glob("integrations/connectors/*/connector.py")
)
AREAS: Final = (
    Area("licensehub", ("licensehub", "integrations", "templates", "subscriptions/notices")),
    *(Area(folder, (folder,)) for folder in CONNECTORS),
    Area("subscriptions", ("subscriptions",)),
    Area("templates", ("templates/admin", "subscriptions/admin")),
)


def area_of(name: str) -> Area | None:
    """The area of a file: the one with the longest folder that contains it. None for files that are not translated."""
    if _inside(name, NOT_TRANSLATED) or NOT_TRANSLATED_FOLDERS & set(name.split("/")):
        return None
    fitting = [(max(map(len, inside)), area) for area in AREAS if (inside := _inside(name, area.folders))]
    return max(fitting, key=lambda pair: pair[0])[1] if fitting else None


def _inside(name: str, folders: Iterable[str]) -> list[str]:
    return [folder for folder in folders if name == folder or name.startswith(f"{folder}/")]


def extracted() -> dict[str, Catalog]:
    """Name of each area -> the strings that its sources mark now, without translations."""
    found = {area.name: Catalog(fuzzy=False) for area in AREAS}
    for folder in ("integrations", "licensehub", "subscriptions", "templates"):
        for file in sources(settings.BASE_DIR, folder):
            name = file.relative_to(settings.BASE_DIR).as_posix()
            if area := area_of(name):
                add_messages(found[area.name], file, name)
    return found


def stored(area: Area, language: str) -> Catalog:
    """The catalog of the .po file; an empty one if there is no file."""
    path = area.po(language)
    if not path.exists():
        return Catalog(locale=language, fuzzy=False)
    with path.open("rb") as file:
        return read_po(file, locale=language)


def update(area: Area, language: str, marked: Catalog) -> Catalog:
    """Write the .po file with the strings that are marked now. Translations of removed strings are dropped."""
    catalog = stored(area, language)
    catalog.update(marked, no_fuzzy_matching=True, update_header_comment=False)
    catalog.header_comment = f"# The texts of {area.name} in the language “{language}”: see docs/style-guide.md."
    text = io.BytesIO()
    write_po(text, catalog, width=120, sort_output=True, ignore_obsolete=True, include_lineno=False)
    kept = [line for line in text.getvalue().decode().splitlines() if not line.strip('"').startswith(_RESTLESS)]
    area.po(language).parent.mkdir(parents=True, exist_ok=True)
    area.po(language).write_text("\n".join(kept).rstrip() + "\n", encoding="utf-8")
    return catalog


def stale() -> Iterator[Path]:
    """The .po files whose .mo file is missing or older."""
    for area in AREAS:
        for language in LANGUAGES:
            po, mo = area.po(language), area.po(language).with_suffix(".mo")
            if po.exists() and not (mo.exists() and mo.stat().st_mtime >= po.stat().st_mtime):
                yield po


def compile_stale() -> list[Path]:
    """Write the .mo files that are missing or older than their .po file. Several processes may do so at once."""
    done = []
    for po in list(stale()):
        with po.open("rb") as file:
            catalog = read_po(file, locale=po.parent.parent.name)
        handle, name = tempfile.mkstemp(dir=po.parent, suffix=".mo.new")
        with os.fdopen(handle, "wb") as file:
            write_mo(file, catalog)
        # mkstemp makes it readable for its owner only.
        Path(name).chmod(0o644)
        Path(name).replace(po.with_suffix(".mo"))
        done.append(po.with_suffix(".mo"))
    return done
