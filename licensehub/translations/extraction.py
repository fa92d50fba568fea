"""Find the marked strings in Python files and templates. No gettext programs are needed: a fresh machine lacks them."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from babel.messages.catalog import Catalog
from babel.messages.extract import extract
from django.utils.translation.template import templatize

# The functions that mark a string, and which of their arguments are strings: as in Babel, `c` is the context.
_ONE: Final = dict.fromkeys(("_", "gettext", "gettext_lazy", "gettext_noop", "english"))
_PLURAL: Final = dict.fromkeys(("ngettext", "ngettext_lazy", "english_plural"), (1, 2))
_CONTEXT: Final = dict.fromkeys(("pgettext", "pgettext_lazy"), ((1, "c"), 2))
_BOTH: Final = dict.fromkeys(("npgettext", "npgettext_lazy"), ((1, "c"), 2, 3))
KEYWORDS: Final[dict[str, Any]] = {**_ONE, **_PLURAL, **_CONTEXT, **_BOTH}
TEMPLATES: Final = frozenset({".html", ".txt"})


def add_messages(catalog: Catalog, file: Path, name: str) -> None:
    """Add the marked strings of one file. `name` is the path that the catalog shows for it."""
    for _line, messages, _comments, context in extract("python", _python_of(file, name), keywords=KEYWORDS):
        catalog.add(messages, locations=[(name, 0)], context=context)


def sources(root: Path, folder: str) -> Iterator[Path]:
    """The files of a folder that may have marked strings, sorted."""
    for path in sorted((root / folder).rglob("*")):
        if path.suffix in TEMPLATES or path.suffix == ".py":
            yield path


def _python_of(file: Path, name: str) -> io.BytesIO:
    """A file as Python code. Django turns a template into Python code for xgettext, and indents its lines."""
    text = file.read_text(encoding="utf-8")
    if file.suffix in TEMPLATES:
        text = "\n".join(line.strip() for line in templatize(text, origin=name).splitlines())
    return io.BytesIO(text.encode())
