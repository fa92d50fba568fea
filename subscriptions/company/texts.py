"""The texts of the notices that a company may change, in each language, with named placeholders.

A text is filled in one pass, so a brace in a value is not a placeholder. The values come from the vendor's directory:
they are plain text, and the templates escape them.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from django.conf import settings
from django.utils.functional import Promise
from django.utils.translation import get_language, gettext_lazy, override
from django.utils.translation import gettext as _

from subscriptions.errors import Refused
from subscriptions.models import NoticeKind

LANGUAGES: Final = dict(settings.LANGUAGES)
KINDS: Final = (NoticeKind.ASK, NoticeKind.REMINDER)
MAX_LENGTH: Final = {"subject": 150, "text": 2000}
DEFAULTS: Final[Mapping[str, str | Promise]] = {
    "ask_subject": gettext_lazy("Do you still need your {license}?"),
    "ask_text": gettext_lazy("Hello {name}.\n\n{activity} If you do not need the license, somebody else can use it."),
    "reminder_subject": gettext_lazy("Reminder: do you still need your {license}?"),
    "reminder_text": gettext_lazy(
        "Hello {name}.\n\nWe asked you some days ago and have no answer yet. {activity} If you do not need the "
        "license, somebody else can use it."
    ),
}
PLACEHOLDERS: Final[Mapping[str, str | Promise]] = {
    "name": gettext_lazy("the first name; if it is not known, the space before it is left out, too"),
    "license": gettext_lazy("the license, as in the first text"),
    "company": gettext_lazy("the name of the company"),
    "activity": gettext_lazy("a sentence with the day of the last activity"),
    "days": gettext_lazy("the time that is left to answer, for example “7 days”"),
    "deadline": gettext_lazy("the last day and hour to answer"),
    "contact": gettext_lazy("the name of the contact"),
}
PLACEHOLDER = re.compile(r"(\s?)\{([^{}]*)\}")
# Characters without width, and characters that change the direction of a text: they make a text look like another one.
UNSEEN = frozenset("\u200b\u2060\ufeff\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")


@dataclass(frozen=True, slots=True)
class Wording:
    """The texts of a notice for one person.

    `heading` is the question: above the mail, the reminder and *My license*.
    """

    subject: str
    heading: str
    paragraphs: tuple[str, ...]


def keys() -> list[str]:
    """The key of each text: `ask_en_subject`, `ask_en_text`, `ask_de_subject`, …"""
    return [f"{kind.value}_{language}_{part}" for kind in KINDS for language in LANGUAGES for part in MAX_LENGTH]


def default_of(key: str) -> str:
    """LicenseHub's own text for this key, in the language of the key."""
    kind, language, part = key.split("_")
    with override(language):
        return str(DEFAULTS[f"{kind}_{part}"])


def one_line(text: str) -> str:
    """Remove line breaks, control characters and double spaces, so that the text is safe in a header of a mail."""
    return " ".join(visible(text).split())


def visible(text: str) -> str:
    """Remove control characters, characters without width, and characters that change the direction of a text."""
    controls = (unicodedata.category(char) == "Cc" and not char.isspace() for char in text)
    return "".join(char for char, control in zip(text, controls, strict=True) if not control and char not in UNSEEN)


def check_text(text: str) -> None:
    """Raise Refused for a placeholder that does not exist, and for a brace without its partner."""
    for _space, name in PLACEHOLDER.findall(text):
        if name not in PLACEHOLDERS:
            known = ", ".join(f"{{{word}}}" for word in PLACEHOLDERS)
            raise Refused(_("{{{name}}} is no placeholder. These exist: {known}.").format(name=name, known=known))
    if broken := re.search(r"[{}]", PLACEHOLDER.sub("", text)):
        sentence = _("A “{brace}” has no matching brace. Write a placeholder as {{name}}, and use no other braces.")
        raise Refused(sentence.format(brace=broken[0]))


def fill(text: str, values: Mapping[str, str]) -> str:
    """Replace the placeholders by the values, each as one line. An empty value removes the space before it, too."""

    def value_of(found: re.Match[str]) -> str:
        value = one_line(values.get(found[2], ""))
        return f"{found[1]}{value}" if value else ""

    return PLACEHOLDER.sub(value_of, text)


def wording(kind: NoticeKind, values: Mapping[str, str], own: Mapping[str, str]) -> Wording:
    """The notice in the active language. `own` are the texts of the company; a missing one is the default."""
    language = (get_language() or "en").partition("-")[0]

    def text_of(kind: NoticeKind, part: str) -> str:
        return fill(own.get(f"{kind.value}_{language}_{part}") or str(DEFAULTS[f"{kind.value}_{part}"]), values)

    blocks = re.split(r"\n\s*\n", visible(text_of(kind, "text")).strip())
    return Wording(
        subject=one_line(text_of(kind, "subject")),
        heading=one_line(text_of(NoticeKind.ASK, "subject")),
        paragraphs=tuple(block.strip() for block in blocks),
    )
