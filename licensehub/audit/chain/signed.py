"""The newest event about a subject: it can be believed if its signature fits.

Nobody can write or change such an event without AUDIT_KEY. Whether events are missing is not found here: see `verify`
and `checkpoint`.
"""

from __future__ import annotations

from collections.abc import Iterable

from licensehub.audit.chain.offline_verifier import canonical, text_digest
from licensehub.audit.chain.signature import is_signed
from licensehub.audit.models import AuditEvent


class NotSigned(Exception):
    """Somebody has written or changed the newest event in the database. An older event would not be the truth."""


def newest_signed(events: Iterable[AuditEvent]) -> AuditEvent | None:
    """The newest of these events; None without events. Its data is empty if its text was erased. Raises NotSigned."""
    newest = max(events, key=lambda event: event.sequence, default=None)
    if newest is not None and not is_genuine(newest):
        raise NotSigned(str(newest.sequence))
    return newest


def is_genuine(event: AuditEvent) -> bool:
    """Whether this event is signed, and its text is as it was written, or erased."""
    erased = (event.salt, event.target_label, event.data) == ("", "", {})
    fits = erased or event.text_digest == text_digest(event.salt, event.target_label, canonical(event.data))
    return fits and is_signed(event)
