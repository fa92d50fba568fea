"""E-mail addresses as they are compared: without regard to case, width, and what follows a plus sign."""

from __future__ import annotations

import unicodedata


def normalized(address: str) -> str:
    """The form in which two spellings of one address are equal; empty without an address."""
    return unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", address.strip()).casefold())


def mailbox(address: str) -> tuple[str, str]:
    """The local part without its tag, and the domain: `Pat+miro@X.example` -> (`pat`, `x.example`).

    Mail servers deliver both to one mailbox (RFC 5233). Both parts are empty without an address.
    """
    local, at, domain = normalized(address).rpartition("@")
    return (local.partition("+")[0] or local, domain) if at else ("", "")
