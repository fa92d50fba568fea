"""An anchor: the end of the audit at one moment, signed with a key that is not in the database."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from cryptography.exceptions import InvalidSignature

from licensehub.audit.anchors.keys import Keys
from licensehub.audit.chain.offline_verifier import anchor_payload

MAX_TEXT = 4096  # characters


@dataclass(frozen=True, slots=True)
class Anchor:
    """The event `sequence` with its `hash`, the number of events up to it, and the moment `at` of the anchor.

    `instance` is the installation that wrote it. `where` says where this copy was read; it is not signed.
    """

    sequence: int
    hash: str
    at: datetime
    count: int
    instance: str
    key_id: str
    signature: str = ""
    where: str = ""

    def payload(self) -> bytes:
        """Return what is signed: canonical JSON, i.e. sorted keys, no spaces, UTF-8."""
        return anchor_payload(self._signed_fields())

    def text(self) -> str:
        """One line of JSON: the payload and its signature. Files, mails and buckets hold this."""
        return _canonical({**self._signed_fields(), "signature": self.signature}).decode()

    def _signed_fields(self) -> dict[str, Any]:
        return {
            "sequence": self.sequence,
            "hash": self.hash,
            "at": self.at.isoformat(),
            "count": self.count,
            "instance": self.instance,
            "key_id": self.key_id,
        }

    def is_genuine(self, keys: Keys) -> bool:
        """Whether one of our keys has signed it."""
        key = keys.public.get(self.key_id)
        try:
            if key is not None:
                key.verify(base64.b64decode(self.signature, validate=True), self.payload())
                return True
        except (InvalidSignature, ValueError):  # a text that is no base64, or that cannot be encoded
            return False
        return False

    @classmethod
    def signed(cls, keys: Keys, *, sequence: int, hash: str, at: datetime, count: int, instance: str) -> Anchor:
        """A new anchor. `keys` must have a private key."""
        if keys.signing is None:
            raise ValueError("There is no private key to sign an anchor with.")
        unsigned = cls(sequence, hash, at, count, instance, keys.signing_id)
        signature = base64.b64encode(keys.signing.sign(unsigned.payload())).decode()
        return cls(sequence, hash, at, count, instance, keys.signing_id, signature)

    @classmethod
    def from_text(cls, text: str, *, where: str) -> Anchor:
        """The anchor in a text of `text()`; its signature is not checked. Raises ValueError for any other text."""
        try:
            if len(text) > MAX_TEXT:
                raise ValueError("This is too long for an anchor.")
            found = json.loads(text)
            return cls(
                sequence=int(found["sequence"]),
                hash=str(found["hash"]),
                at=datetime.fromisoformat(found["at"]),
                count=int(found["count"]),
                instance=str(found["instance"]),
                key_id=str(found["key_id"]),
                signature=str(found["signature"]),
                where=where,
            )
        except (TypeError, KeyError) as error:
            raise ValueError("This is not an anchor.") from error


def _canonical(fields: Mapping[str, Any]) -> bytes:
    return json.dumps(fields, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()
