"""Show characters that nobody sees: they turn the direction of a text, or make two names look the same.

`PAT\u202eMAI` is shown as `PAT[U+202E]MAI`. One function is applied where texts leave LicenseHub: pages (by a
middleware), files and mails. So no template can forget it, and what is stored stays as it was given.
https://www.unicode.org/reports/tr36/#Bidirectional_Text_Spoofing
"""

from __future__ import annotations

import re
from typing import Final

# Marks, embeddings, overrides and isolates of direction; spaces without width; fillers; tags.
_BIDI: Final = "\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069"
_NO_WIDTH: Final = "\u00ad\u034f\u115f\u1160\u17b4\u17b5\u180e\u200b\u2060-\u2064\u206a-\u206f\u3164\ufeff\uffa0"
_TAGS: Final = "\U000e0000-\U000e007f"
# Joiners are a part of the spelling between letters of some scripts (Arabic to Sinhala), and between emoji.
_JOINED: Final = "\u0600-\u0dff\u2600-\u27bf\ufe0f\U0001f000-\U0001faff"
_JOINERS: Final = f"(?<![{_JOINED}])[\u200c\u200d]|[\u200c\u200d](?![{_JOINED}])"
INVISIBLE: Final = re.compile(f"[{_BIDI}{_NO_WIDTH}{_TAGS}]|{_JOINERS}")

# The first bytes of these characters in UTF-8: most pages have few of them, and none of the characters.
_IN_BYTES: Final = re.compile(
    rb"\xe2\x80[\x8b-\x8f\xaa-\xae]|\xe2\x81[\xa0-\xaf]|\xc2\xad|\xcd\x8f|\xd8\x9c|\xef\xbb\xbf|\xef\xbe\xa0"
    rb"|\xe1(?:\x85[\x9f\xa0]|\x9e[\xb4\xb5]|\xa0\x8e)|\xe3\x85\xa4|\xf3\xa0[\x80\x81]"
)
# What is no text of a page: tags with their values, scripts, styles, and fields that a person sends back as they are.
_NO_TEXT: Final = re.compile(r"(<(script|style|textarea)\b.*?</\2\s*>|<[^>]*>)", re.DOTALL | re.IGNORECASE)


def visible(text: str) -> str:
    """The text with each invisible character as its code, e.g. `[U+202E]`."""
    if text.isascii():
        return text
    return INVISIBLE.sub(lambda found: f"[U+{ord(found.group()):04X}]", text)


def visible_page(content: bytes) -> bytes:
    """The same for the texts of a page in UTF-8. Its tags, and so what a form sends back, stay as they are."""
    if not _IN_BYTES.search(content):
        return content
    parts, at = [], 0
    page = content.decode()
    for found in _NO_TEXT.finditer(page):
        parts += [visible(page[at : found.start()]), found.group()]
        at = found.end()
    return "".join([*parts, visible(page[at:])]).encode()
