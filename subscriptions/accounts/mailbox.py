"""The mailbox of an e-mail address: two addresses that differ by a tag only belong to one person."""

from __future__ import annotations

from functools import lru_cache

from integrations.connectors.contract import normalized


# Cached: the frozen address of a person is mostly that of today, and each is compared with the same account.
@lru_cache(maxsize=1024)
def mailbox(address: str) -> tuple[str, str]:
    """The local part without its tag, and the domain: `Pat+tag@X.example` -> (`pat`, `x.example`).

    Mail servers deliver both to one mailbox (RFC 5233). Both parts are empty without an address.
    """
    local, at, domain = normalized(address).rpartition("@")
    return (local.partition("+")[0] or local, domain) if at else ("", "")
