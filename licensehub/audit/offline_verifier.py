"""The format of the audit chain. It needs no Django and no key, so that an auditor can compute all of it alone.

    text_digest = SHA-256(salt + canonical([target_label, data]))
    body_digest = SHA-256(canonical([sequence, at, action, actor_id, actor_name, target_type, target_id, text_digest,
                                     correlation]))
    hash        = SHA-256(previous_hash + body_digest)

`canonical` is JSON with sorted keys, without spaces, in ASCII. Digests are written as 64 hexadecimal digits. `at` is in
UTC, in the form of `datetime.isoformat()`. The hash before the first event is 64 zeros.
"""

from __future__ import annotations

import json
from hashlib import sha256
from typing import Any

EMPTY = "0" * 64

canonical = json.JSONEncoder(sort_keys=True, separators=(",", ":")).encode


def text_digest(salt: str, label: str, data: Any) -> str:
    """The digest of the two columns that name a person. Without the salt nobody can guess the text that it covers."""
    return sha256(f"{salt}{canonical([label, data])}".encode()).hexdigest()


def body_digest(body: list[Any]) -> str:
    """The digest of one event: the values in the order that the format names."""
    return sha256(canonical(body).encode()).hexdigest()


def chain_hash(previous: str, body: str) -> str:
    """The hash of an event, which links its body to the hash of the event before."""
    return sha256(f"{previous}{body}".encode()).hexdigest()
