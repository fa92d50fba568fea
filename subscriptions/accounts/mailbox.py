"""The mailbox of an e-mail address: two addresses that differ by a tag only belong to one person."""

from __future__ import annotations

import unicodedata
from functools import lru_cache

from integrations.connectors.contract import normalized


# Cached: the frozen address of a person is mostly that of today, and each is compared with the same account.
@lru_cache(maxsize=1024)
def mailbox(address: str) -> tuple[str, str]:
    """The local part without its tag, and the domain: `Pat+tag@X.example` -> (`pat`, `x.example`).

    Mail servers deliver both to one mailbox (RFC 5233), and `"pat"@` to that of `pat@` (RFC 5321, section 4.1.2). They
    leave out signs without a width (RFC 5892, section 2.1). Both parts are empty without an address.
    """
    seen = normalized(address)
    if not seen.isascii():
        seen = "".join(sign for sign in seen if unicodedata.category(sign) != "Cf")
    local, at, domain = seen.rpartition("@")
    if len(local) > 2 and local[0] == local[-1] == '"':
        local = local[1:-1].replace("\\", "")
    return (local.partition("+")[0] or local, domain.rstrip(".")) if at else ("", "")
