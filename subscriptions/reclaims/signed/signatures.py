"""The signature of an approval: an HMAC over exactly what was approved, with a key outside the database."""

from __future__ import annotations

import hmac
from collections.abc import Callable
from typing import Any, Protocol

from django.conf import settings

from licensehub.audit.chain.offline_verifier import canonical
from subscriptions.models import Reclaim, ReclaimRequest


class Person(Protocol):
    """The part of a RequestedRemoval that a signature covers."""

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
    return signer(request)(person.pk, person.candidate_id, person.restores_id, canonical(person.evidence))


def is_signed(item: Reclaim) -> bool:
    """Whether this is exactly what was approved."""
    return has_signature_of(item.removal, item.removal.request, item.signature)


def has_signature_of(person: Person, request: ReclaimRequest, signature: str) -> bool:
    """Whether this is the signature of the person's approval, by APPROVAL_KEY or by a former key.

    A former key that was stolen makes no approval: the audit has to name the same one.
    """
    evidence = canonical(person.evidence)
    keys = [settings.APPROVAL_KEY, *settings.APPROVAL_KEY_FALLBACKS]
    made = (signer(request, key)(person.pk, person.candidate_id, person.restores_id, evidence) for key in keys)
    return any(hmac.compare_digest(one.encode(), signature.encode()) for one in made)


def signer(request: ReclaimRequest, key: str | None = None) -> Callable[[int, int, int | None, str], str]:
    """Return a function that signs one person of this request. The signed text is `canonical` of one list.

    It takes the ids of the row, of the candidate and of the reclaim that is restored, and the evidence as `canonical`.
    """
    head = [
        request.pk,
        request.direction,
        request.requested_by_id,
        request.decided_by_id,
        request.cap_raised_by_id,
        request.cap,
        request.valid_until.isoformat() if request.valid_until else None,
    ]
    begin, secret = canonical(head).removesuffix("]"), (settings.APPROVAL_KEY if key is None else key).encode()

    def signature_of(pk: int, candidate_id: int, restores_id: int | None, evidence: str) -> str:
        restores = "null" if restores_id is None else restores_id
        content = f"{begin},{pk},{candidate_id},{restores},{evidence}]"
        return hmac.digest(secret, content.encode(), "sha256").hex()

    return signature_of
