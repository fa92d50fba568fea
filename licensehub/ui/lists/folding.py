"""Lists compare texts in one form in a search, both the stored texts and the text that somebody types.

`folded` makes texts equal that differ only in case (“MÜLLER”, “straße” and “STRASSE”), or in how they are encoded
(“José” as four letters, or as five characters of which one is an accent). The databases do not agree on either.
https://www.unicode.org/faq/normalization.html
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from unicodedata import normalize

from django.db.models import QuerySet
from django.http import HttpRequest

from licensehub.ui.lists.id_filter import IdIn, IdList

# A search for more words finds nothing: no name has so many, and the database would get a condition for each.
MAX_WORDS = 100
CASES: tuple[Callable[[str], str], ...] = (str, str.lower, str.upper, str.title)


def folded(text: str) -> str:
    """The form in which a search compares a text. ASCII becomes lower case, and keeps its length."""
    return normalize("NFKC", normalize("NFKC", text).casefold())


def search_words(text: str) -> list[str]:
    """The folded words of a search, each once."""
    return list(dict.fromkeys(folded(text).split()))


def contains_words(words: list[str], *texts: str) -> bool:
    """Whether each of these folded words is in one of the texts."""
    there = "\n".join(map(folded, texts))
    return all(word in there for word in words)


def spellings(text: str) -> set[str]:
    """Other ways to write the same text, for a search in a table that is too large to be folded."""
    return {normalize(form, case(text)) for form in ("NFC", "NFD") for case in CASES}


class FoldedSearch:
    """A mixin before ModelAdmin. It searches in the `search_fields` of a small table, and reads all of its rows."""

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Any], search_term: str
    ) -> tuple[QuerySet[Any], bool]:
        words = search_words(search_term)
        if not words:
            return queryset, False
        rows = queryset.order_by().values_list("pk", *self.search_fields)  # type: ignore[attr-defined]  # of ModelAdmin
        found = (pk for pk, *texts in rows if contains_words(words, *(str(text or "") for text in texts)))
        return queryset.filter(IdIn("pk", IdList.of(found))), False
