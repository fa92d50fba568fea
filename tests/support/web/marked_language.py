"""A language with marks around each translated text. A text without marks is not translated."""

from __future__ import annotations

import re
from collections.abc import Iterator
from html.parser import HTMLParser

from django.apps import apps
from django.db.models import CharField, TextField

from integrations.connectors import registry
from licensehub.translations import stored
from licensehub.ui import formatting

BEGIN, END = "⟦", "⟧"
# Values and tags inside of a translation get no marks, so that values are checked, too.
# A page may show only the part of a text before its colon.
GAPS = re.compile(r"(%\(\w+\)[sd]|%%|%[sd]|\{[^{}]*\}|<[^<>]*>|:)")
LETTERS = re.compile(r"[^\W\d_]{2,}")
READ_ALOUD = ("title", "aria-label", "placeholder", "alt", "label", "aria-description", "aria-roledescription")
UNREAD = ("script", "style", "code", "kbd", "noscript")
COORDINATES = ("x", "y", "x1", "x2", "y1", "y2", "cx", "cy", "r", "rx", "dx", "dy", "width", "height", "style")
VOID = ("input", "img", "br", "hr", "meta", "link", "source", "col", "wbr", "path", "rect", "circle", "line")


def mark(text: str) -> str:
    pieces = GAPS.split(text)
    return "".join(f"{BEGIN}{piece}{END}" if LETTERS.search(piece) else piece for piece in pieces)


def marked_functions() -> dict[str, object]:
    """Replacements for the functions of `django.utils.translation`."""
    return {
        "gettext": lambda text: mark(str(text)),
        "pgettext": lambda context, text: mark(str(text)),
        "ngettext": lambda one, many, count: mark(str(one if count == 1 else many)),
        "npgettext": lambda context, one, many, count: mark(str(one if count == 1 else many)),
    }


def forget_translations() -> None:
    """Drop cached translations. Call it before and after the functions are replaced."""
    for cached in (stored._translated, registry._in_language, formatting._written):
        cached.cache_clear()


class Numbers(HTMLParser):
    """Collects numbers for programs that have a decimal comma in place of the point."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        is_number = dict(attrs).get("type") in ("number", "range")
        names = (*COORDINATES, *(("value", "min", "max", "step") if is_number else ()))
        self.found += [f"{name}={value}" for name, value in attrs if name in names and re.search(r"\d,\d", value or "")]


class Reader(HTMLParser):
    """Collects what a person sees or hears: text, and attributes that are read aloud."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []
        self.unread: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        if self.unread:
            self.unread += [tag] if tag not in VOID else []
            return
        # A stored English text has a `lang` attribute, for people who hear the page.
        is_english = given.get("lang") == "en" and tag not in ("html", "option")
        if tag in UNREAD or is_english or "material-symbols" in given.get("class", ""):
            self.unread.append(tag)
            return
        self.found += [given[name] for name in READ_ALOUD if given.get(name)]
        if tag == "input" and given.get("type") in ("submit", "button"):
            self.found.append(given.get("value", ""))

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        if tag not in VOID:
            self.handle_endtag(tag)

    def handle_endtag(self, tag: str) -> None:
        if self.unread and self.unread[-1] == tag:
            self.unread.pop()

    def handle_data(self, data: str) -> None:
        if not self.unread and (text := " ".join(data.split())):
            self.found.append(text)


def left_out(html: str, data: re.Pattern[str]) -> Iterator[str]:
    """Each text of a page that has words without marks, and is no data."""
    reader = Reader()
    reader.feed(html)
    for text in reader.found:
        outside = re.sub(f"{BEGIN}[^{BEGIN}{END}]*{END}", " ", text)
        if LETTERS.search(data.sub(" ", outside)):
            yield text


def with_decimal_comma(html: str) -> Iterator[str]:
    numbers = Numbers()
    numbers.feed(html)
    yield from numbers.found


def data_of_rows(fields: dict[str, tuple[str, ...]], *words: str) -> re.Pattern[str]:
    """The texts of people and of the vendor: the values of these fields, addresses, references, and further words."""
    values = set(words)
    for model, names in fields.items():
        for name in names:
            assert isinstance(apps.get_model(model)._meta.get_field(name), CharField | TextField)
            values |= {value for value in apps.get_model(model).objects.values_list(name, flat=True) if value}
    written = "|".join(re.escape(" ".join(value.split())) for value in sorted(values, key=len, reverse=True))
    # Addresses, references, and the initials of a person.
    shapes = r"\b[A-ZÄÖÜ]{2}\b|[\w.+-]+@[\w.-]+|https?://\S+|\b[A-Z]{1,3}-\d+\b"
    return re.compile(rf"{shapes}|(?<!\w)(?:{written})(?!\w)")
