"""The signature of an approval: an HMAC over exactly what was approved, with a key outside the database."""

from __future__ import annotations

import hmac
import json
from typing import Any, Protocol

from django.conf import settings

from subscriptions.models import ReclaimRequest, RequestedRemoval

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
    return hmac.digest(settings.APPROVAL_KEY.encode(), CANONICAL(content).encode(), "sha256").hex()


def is_signed(person: RequestedRemoval) -> bool:
    """Whether this is exactly what was approved."""
    return hmac.compare_digest(person.signature, sign(person, person.request))
