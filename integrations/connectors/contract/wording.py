"""Mark sentences that are stored or logged, so that they are in the catalogs. They stay English until they are shown.

`licensehub.translations.stored.translated` shows them in the language of the reader. No Django here: a connector may
use these functions.
"""

from __future__ import annotations


def english(sentence: str) -> str:
    """Return the sentence unchanged: `english("{vendor} refused this.").format(vendor=...)`."""
    return sentence


def english_plural(one: str, many: str, count: int) -> str:
    """The form for this number: `english_plural("{count} person", "{count} people", 3).format(count=3)`."""
    return one if count == 1 else many
