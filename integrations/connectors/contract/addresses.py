"""The one form in which e-mail addresses are compared: with each other, with protections and with accounts."""

from __future__ import annotations

import unicodedata

MAX_ADDRESS = 254
ENCODED = "xn--"  # the prefix of a label with letters that are not ASCII: RFC 5890, section 2.3.2.1


def normalized(address: str) -> str:
    """The address in NFKC and without case, its domain in letters: `jörg@münchen.example`.

    A mail server may treat `Pat@` and `pat@` as two mailboxes (RFC 5321, section 2.4), but no company gives them to two
    people.
    """
    address = address.strip()
    if is_plain(address):
        return address.lower()
    name, at, domain = _folded(address).partition("@")
    return f"{name}{at}{normalized_domain(domain)}"[:MAX_ADDRESS]


def is_plain(address: str) -> bool:
    """Whether `normalized` gives the same as lower case, as for almost all addresses."""
    return address.isascii() and ENCODED not in address.lower()


def normalized_domain(domain: str) -> str:
    """The domain in letters, in NFKC and without case. What cannot be decoded stays as it is."""
    labels = _folded(domain.strip()).replace("\u3002", ".").split(".")
    return ".".join(_folded(_decoded(label)) for label in labels)


def _decoded(label: str) -> str:
    if not label.startswith(ENCODED):
        return label
    try:
        return label.removeprefix(ENCODED).encode("ascii").decode("punycode")
    except UnicodeError:
        return label


def _folded(text: str) -> str:
    return unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).casefold())
