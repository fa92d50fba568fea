"""The signature of an event: it tells whether an event is as LicenseHub wrote it, and at its place in the chain."""

from __future__ import annotations

import hmac
from collections.abc import Callable

from django.conf import settings

from licensehub.audit.chain.offline_verifier import EMPTY, body_digest, canonical, chain_hash, text_digest
from licensehub.audit.models import AuditEvent


def signer() -> Callable[[str], str]:
    """HMAC-SHA-256 (RFC 2104) over the hash of an event: without AUDIT_KEY, nobody can add an event to the chain."""
    keyed = hmac.new(settings.AUDIT_KEY.encode(), digestmod="sha256")

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
    return event.hash == found and hmac.compare_digest(event.hmac, signer()(found))


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
