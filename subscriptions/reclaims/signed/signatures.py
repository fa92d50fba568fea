"""The signature of an approval: an HMAC over exactly what was approved, with a key outside the database."""

from __future__ import annotations

import hmac
import json
from typing import Any, Protocol

from django.conf import settings

from subscriptions.models import Reclaim, ReclaimRequest

# Signing and checking write the content in the same form.
CANONICAL = json.JSONEncoder(sort_keys=True, separators=(",", ":")).encode


class Person(Protocol):
    """The part of a person that a signature covers: a RequestedRemoval, or the row of one that `enqueue` reads."""

    @property
    def pk(self) -> int: ...
    @property
    def candidate_id(self) -> int: ...
    @property
    def restores_id(self) -> int | None: ...
    @property
    def evidence(self) -> dict[str, Any]: ...


def sign(person: Person, request: ReclaimRequest) -> str:
    """HMAC-SHA-256 (RFC 2104) that binds an approval to this person, this evidence, this validity and this cap."""
    return _signature(settings.APPROVAL_KEY, person, request)


def is_signed(item: Reclaim) -> bool:
    """Whether this is exactly what was approved."""
    return has_signature_of(item.removal, item.removal.request, item.signature)


def has_signature_of(person: Person, request: ReclaimRequest, signature: str) -> bool:
    """Whether this is the signature of the person's approval, by APPROVAL_KEY or by a former key.

    A former key that was stolen makes no approval: the audit has to name the same one.
    """
    keys = [settings.APPROVAL_KEY, *settings.APPROVAL_KEY_FALLBACKS]
    made = (_signature(key, person, request) for key in keys)
    return any(hmac.compare_digest(one.encode(), signature.encode()) for one in made)


def _signature(key: str, person: Person, request: ReclaimRequest) -> str:
    content = [
        request.pk,
        request.direction,
        request.requested_by_id,
        request.decided_by_id,
        request.cap_raised_by_id,
        request.cap,
        request.valid_until.isoformat() if request.valid_until else None,
        person.pk,
        person.candidate_id,
        person.restores_id,
        person.evidence,
    ]
    return hmac.digest(key.encode(), CANONICAL(content).encode(), "sha256").hex()
