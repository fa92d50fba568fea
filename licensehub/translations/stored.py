"""Show stored English sentences in the language of the reader: an error of a connection, the problem of a run.

The database keeps English, whoever caused the sentence, and newer catalogs also translate old rows. The strings
of the catalogs are patterns here: a sentence that matches one is written as its translation, with the same values.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from functools import cache, lru_cache
from typing import Final

from babel.messages.mofile import read_mo
from django.utils import timezone
from django.utils.functional import Promise
from django.utils.translation import get_language, gettext, ngettext, override

from licensehub.translations.catalogs import AREAS, LANGUAGES
from licensehub.ui.formatting import day, day_and_time, number, percent

_PLACE: Final = re.compile(r"\{(\w*)[^{}]*\}")
_NUMBER: Final = re.compile(r"\d{1,3}(,\d{3})*|\d+")
# `Nov 27, 2026`, and with a time `Nov 27, 2026, 14:08`. A value contains a date as a whole: the comma in it
# does not end the value.
_ONE_DATE: Final = r"[A-Z][a-z]{2} \d{1,2}, \d{4}(?:, \d{2}:\d{2})?"
_DATE: Final = re.compile(_ONE_DATE)
# Values of these places are names, or the words of a person. They are never translated.
_TYPED: Final = frozenset(
    {"by", "comment", "name", "organization", "organization_name", "owner", "person", "plan", "profile", "reason"}
)
# Values of these places are measured, so they may have decimals. Elsewhere `9.1` may be a version.
_MEASURED: Final = frozenset({"free", "seconds", "size", "total"})
_DECIMAL: Final = re.compile(r"\d+\.(\d+)")
_PERCENT: Final = re.compile(r"\d+(\.\d+)?%")
_LIST: Final = "; "
_END: Final = re.compile(r"(?<=[.?!]) ")
# A text with more sentences, or with longer ones, is not ours: people wrote it, e.g. as a reason. Searching it for our
# strings would take seconds.
_MAX_SENTENCES: Final = 12
_MAX_LENGTH: Final = 400


@dataclass(frozen=True, slots=True)
class _Pattern:
    """A string with places for values. In `text`, a value is within one sentence; in `wide`, it may have several.

    `letters` is the longest part without a place. It is searched first, so that most patterns are never compiled.
    """

    form: str
    letters: str
    one: str
    many: str = ""

    @property
    def says_enough(self) -> bool:
        """False for a string with few letters of its own: `{names} and {last}` would match what a person wrote."""
        only_joins = self.form.startswith("{") and self.form.endswith("}")
        return len(self.letters.strip()) > (5 if only_joins else 2)

    @property
    def text(self) -> re.Pattern[str]:
        return _regex(self.form, rf"{_ONE_DATE}|(?:(?![.?!]\s).)+?")

    @property
    def wide(self) -> re.Pattern[str]:
        return _regex(self.form, rf"{_ONE_DATE}|.+?")

    def translation(self, found: re.Match[str]) -> str:
        named = {name: _value(name, value) for name, value in found.groupdict().items()}
        others = () if named else [_localized(value) for value in found.groups()]
        if self.many:
            counts = [int(value.replace(",", "")) for value in found.groups() if _NUMBER.fullmatch(value)]
            text = ngettext(self.one, self.many, counts[0] if counts else 1)
        else:
            text = gettext(self.one)
        # The values are formatted already, so the places of the translation need no format.
        plain = _PLACE.sub(r"{\1}", text)
        return plain.format(*others, **named)


def _value(name: str, value: str) -> str:
    """The value of a place of a pattern."""
    if name in _TYPED:
        return value
    if name in _MEASURED and (found := _DECIMAL.fullmatch(value)):
        return number(float(value), digits=len(found[1]))
    return with_names(value) if name == "teams" else _localized(value)


@contextmanager
def as_evidence() -> Iterator[None]:
    """In the `with` block, sentences are made as they are stored: in English, with the dates of the company."""
    with override("en"), timezone.override(timezone.get_default_timezone()):
        yield


def in_english(label: str | Promise) -> str:
    """The label in English, as it is stored."""
    with override("en"):
        return str(label)


def translated(text: str) -> str:
    """The text in the language of the reader, sentence by sentence. A sentence that is in no catalog stays as it is."""
    language = get_language() or "en"
    return text if language.startswith("en") or not text else _translated(str(text), language)


@lru_cache(maxsize=20_000)
def _translated(text: str, language: str) -> str:
    """Translate sentence by sentence, and as one string with a long value; return the one with fewer English words."""
    sentences, done, begin = _END.split(text), [], 0
    if len(sentences) > _MAX_SENTENCES:
        return text
    while begin < len(sentences):
        # The longest part first: one string may have several sentences.
        for end in range(len(sentences), begin, -1):
            part = " ".join(sentences[begin:end])
            if found := _lookup(part):
                break
        done.append(found or part)
        begin = end
    if len(sentences) == 1 and done[0] != text:
        return done[0]
    as_one = _lookup(text, of_sentences=True)
    return min(filter(None, (" ".join(done), as_one)), key=lambda said: len({*text.split()} & {*said.split()}))


def with_names(text: str) -> str:
    """`Design and 12 more teams`: what joins the names is translated. A single name stays, also one like `Reports`."""
    exact, _ = _known()
    return text if text in exact else translated(text)


def _lookup(text: str, *, of_sentences: bool = False) -> str:
    """The translation; "" if no string fits. `of_sentences`: a value may have sentences, e.g. what the vendor said."""
    exact, patterns = _known()
    if text in exact:
        return gettext(text)
    if len(text) > _MAX_LENGTH:
        return ""
    for pattern in patterns:
        if pattern.letters in text and (found := (pattern.wide if of_sentences else pattern.text).fullmatch(text)):
            return pattern.translation(found)
    return ""


def _localized(value: str) -> str:
    """A number, percentage or date as the language writes it; our own words translated; anything else as it is."""
    if _NUMBER.fullmatch(value):
        return number(int(value.replace(",", ""))) if "," in value else value
    if _DATE.fullmatch(value):
        return _date(value)
    if _PERCENT.fullmatch(value):
        return percent(Decimal(value.removesuffix("%")))
    said = _translated(value, get_language() or "en")
    if said == value and _LIST in value:
        return _LIST.join(_localized(part) for part in value.split(_LIST))
    return said


def _date(text: str) -> str:
    """The stored day. The reader's time zone does not move it. A name that only looks like a day stays as it is."""
    with_time = ":" in text
    try:
        moment = datetime.strptime(text, "%b %d, %Y, %H:%M" if with_time else "%b %d, %Y").replace(tzinfo=UTC)
    except ValueError:
        return text
    with timezone.override(UTC):
        return day_and_time(moment) if with_time else day(moment)


@cache
def _known() -> tuple[frozenset[str], tuple[_Pattern, ...]]:
    """The strings without places, and those with places. The latter begin with the most letters: they fit best."""
    exact: set[str] = set()
    patterns: list[_Pattern] = []
    for one, many in _strings():
        for form in filter(None, (one, many)):
            if _PLACE.search(form):
                patterns.append(_Pattern(form, max(_PLACE.split(form)[::2], key=len), one, many))
            else:
                exact.add(form)
    # If two have the same number of letters, the one with an unnamed place comes first: many sentences use `{} days`.
    patterns.sort(key=lambda pattern: (-len(_PLACE.sub("", pattern.one)), "{}" not in pattern.one))
    return frozenset(exact), tuple(pattern for pattern in patterns if pattern.says_enough)


def _strings() -> Iterator[tuple[str, str]]:
    """The English forms of all catalogs; the second one is empty where there is no plural."""
    for area in AREAS:
        path = area.po(LANGUAGES[0]).with_suffix(".mo")
        if not path.exists():
            continue
        with path.open("rb") as file:
            for message in read_mo(file):
                # Strings of templates are never stored, and their places look different.
                if message.id and not message.context and "%(" not in str(message.id):
                    one, *many = (message.id,) if isinstance(message.id, str) else message.id
                    yield one, "".join(many)


@cache
def _regex(form: str, value: str) -> re.Pattern[str]:
    pieces = _PLACE.split(form)
    text, seen = re.escape(pieces[0]), set[str]()
    for name, literal in zip(pieces[1::2], pieces[2::2], strict=True):
        place = f"(?P={name})" if name in seen else f"(?P<{name}>{value})" if name else f"({value})"
        text += place + re.escape(literal)
        seen |= {name} - {""}
    return re.compile(text, re.DOTALL)
