"""The signature of an event: it tells whether an event is as LicenseHub wrote it, and at its place in the chain."""

from __future__ import annotations

import hmac
from collections.abc import Callable

from django.conf import settings

from licensehub.audit.chain.offline_verifier import EMPTY, body_digest, canonical, chain_hash, text_digest
from licensehub.audit.models import AuditEvent


def signer() -> Callable[[str], str]:
    """HMAC-SHA-256 (RFC 2104) over the hash of an event: without AUDIT_KEY, nobody can add an event to the chain."""
    return _signer(settings.AUDIT_KEY)


def checker() -> Callable[[int, str, str], bool]:
    """Return a function that checks a signature against the number and the hash of its event.

    AUDIT_KEY counts for each event. A former key may be stolen, so it counts only up to the last event that it signed.
    """
    newest = signer()
    former = [(_signer(key), last) for key, last in map(former_key, settings.AUDIT_KEY_FALLBACKS)]

    def fits(sequence: int, event_hash: str, signature: str) -> bool:
        given = signature.encode()
        if hmac.compare_digest(newest(event_hash).encode(), given):
            return True
        return any(
            hmac.compare_digest(sign(event_hash).encode(), given)
            for sign, last in former
            if last is None or sequence <= last
        )

    return fits


def former_key(word: str) -> tuple[str, int | None]:
    """A key, and the number of the last event that it signed: KEY@NUMBER, or KEY alone for all events."""
    key, at, number = word.rpartition("@")
    return (key, int(number)) if at and number.isascii() and number.isdigit() else (word, None)


def _signer(key: str) -> Callable[[str], str]:
    keyed = hmac.new(key.encode(), digestmod="sha256")

    def sign(event_hash: str) -> str:
        mac = keyed.copy()
        mac.update(event_hash.encode())
        return mac.hexdigest()

    return sign


def is_signed(event: AuditEvent) -> bool:
    """Whether LicenseHub wrote this event with this number after an event with this hash. Its text may be erased."""
    about = (event.actor_id, event.actor_name, event.target_type, event.target_id, event.text_digest)
    body = body_digest(event.sequence, event.at.isoformat(), event.action, *about, str(event.correlation))
    found = chain_hash(event.previous_hash, body)
    return event.hash == found and checker()(event.sequence, found, event.hmac)


def is_believed(event: AuditEvent) -> bool:
    """Whether what this event says is true for this database: it is signed with its text, and follows the one before.

    This does not check the events before that one: `verify` does.
    """
    if not (event.salt and event.text_digest == text_digest(event.salt, event.target_label, canonical(event.data))):
        return False
    if not is_signed(event):
        return False
    if event.sequence == 1:
        return event.previous_hash == EMPTY
    return AuditEvent.objects.filter(sequence=event.sequence - 1, hash=event.previous_hash).exists()
