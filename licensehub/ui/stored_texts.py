"""Sentences that are stored, e.g. why an item failed: English in the database, and shown in the reader's language.

A stored sentence is evidence: it is sealed in the audit log, and stays as it was written. So it is written in English,
whoever acts, and a page recognizes it by its template. A sentence that no template fits is shown as it is stored.
"""

from __future__ import annotations

import re
from datetime import datetime
from functools import lru_cache

from django.utils import translation
from django.utils.formats import date_format
from django.utils.functional import Promise
from django.utils.translation import gettext as _

from licensehub.ui.formatting import day, day_and_time

FIELD = re.compile(r"\{(\w*)(?::,)?\}")
# `Nov 27, 2026`, and with a time `Nov 27, 2026, 14:08`.
DATE = re.compile(r"[A-Z][a-z]{2} \d{1,2}, \d{4}(, \d{2}:\d{2})?")
MAX_KNOWN = 20_000

_TEMPLATES: dict[str, re.Pattern[str]] = {}


def stored(msgid: str) -> str:
    """Register the template of a sentence that is stored. Its text is English, with named fields. Returns it.

    Call it with `gettext_noop("...")`, so that the catalogs have it.
    """
    pieces = FIELD.split(msgid)
    pattern = "".join(f"(?P<{piece}>.+?)" if number % 2 else re.escape(piece) for number, piece in enumerate(pieces))
    _TEMPLATES[msgid] = re.compile(pattern, re.DOTALL)
    return msgid


def english(text: str | Promise) -> str:
    """A label as it is stored, whoever acts."""
    with translation.override("en"):
        return str(text)


def translated(text: str) -> str:
    """A stored sentence in the language of the reader."""
    language = translation.get_language() or "en"
    return text if not text or language.startswith("en") else _translated(text, language)


@lru_cache(maxsize=MAX_KNOWN)
def _translated(text: str, language: str) -> str:
    """`language` is the active one, and a part of the key of the cache. A field may be a stored sentence itself."""
    if DATE.fullmatch(text):
        return _date(text)
    for msgid, pattern in _by_length():
        if found := pattern.fullmatch(text):
            fields = {name: _translated(value, language) for name, value in found.groupdict().items()}
            return _(msgid).format(**fields)
    return text


@lru_cache(maxsize=1)
def _sorted(count: int) -> list[tuple[str, re.Pattern[str]]]:
    return sorted(_TEMPLATES.items(), key=lambda item: -len(FIELD.sub("", item[0])))


def _by_length() -> list[tuple[str, re.Pattern[str]]]:
    """The templates, those with the most fixed text first: they say the most about a sentence."""
    return _sorted(len(_TEMPLATES))
