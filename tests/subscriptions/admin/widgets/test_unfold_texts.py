"""The admin's frame is German, too: unfold's own catalog does not have all of its texts."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import unfold
from django.utils import translation

from subscriptions.admin.widgets.unfold_texts import UNFOLD_TEXTS

SOURCES = Path(unfold.__file__).parent


@cache
def unfold_sources() -> str:
    files = (path for path in SOURCES.rglob("*") if path.suffix in {".py", ".html"})
    return "\n".join(path.read_text(encoding="utf-8") for path in files)


def test_what_unfold_does_not_translate_is_translated_here():
    with translation.override("de"):
        assert [text for text in UNFOLD_TEXTS if translation.gettext(text) == text and text != "System"] == []
    assert [text for text in UNFOLD_TEXTS if text not in unfold_sources()] == []
