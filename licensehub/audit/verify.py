"""Check the audit: whether every event is as it was written, and linked to the one before."""

from __future__ import annotations

import hmac
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from django.conf import settings

from licensehub.audit.actions import Action
from licensehub.audit.models import AuditEvent, ChainHead
from licensehub.audit.offline_verifier import EMPTY, body_digest, chain_hash, text_digest
from licensehub.audit.signature import sign

CHUNK = 2000  # events
COLUMNS = (
    *("sequence", "at", "action", "actor_id", "actor_name", "target_type", "target_id", "text_digest", "correlation"),
    *("target_label", "data", "salt", "previous_hash", "hash", "hmac"),
)


@dataclass(frozen=True, slots=True)
class ChainReport:
    """The result of checking the chain. `broken_at` is the first sequence that does not fit; None if all do."""

    events: int
    broken_at: int | None


def verify_chain() -> ChainReport:
    """Check the whole chain: every event fits its digests and its signature, and none is missing up to the head.

    An event without text counts as changed, unless a later event says that its text was erased.
    """
    key, erased = settings.AUDIT_KEY.encode(), _Erased()
    previous, expected = EMPTY, 0
    for sequence, at, *who_and_what, text, correlation, label, data, salt, linked_to, stored, mac in _events():
        expected += 1
        if salt:
            fits = text_digest(salt, label, data) == text
        else:
            fits = (label, data) == ("", {}) and erased.is_said(sequence)
        found = chain_hash(previous, body_digest([sequence, at.isoformat(), *who_and_what, text, str(correlation)]))
        linked = (sequence, linked_to, stored) == (expected, previous, found)
        if not (fits and linked and hmac.compare_digest(mac, sign(found, key))):
            return ChainReport(events=expected, broken_at=expected)
        previous = found
    head = ChainHead.objects.get(pk=1)
    whole = (head.sequence, head.hash) == (expected, previous)
    return ChainReport(events=expected, broken_at=None if whole else expected + 1)


def _events() -> Iterator[tuple[Any, ...]]:
    return AuditEvent.objects.order_by("sequence").values_list(*COLUMNS).iterator(chunk_size=CHUNK)


class _Erased:
    """What the events say about erased texts."""

    def __init__(self) -> None:
        found = AuditEvent.objects.filter(action=Action.EVENTS_ERASED).values_list("sequence", "data")
        self._spans = [(first, last, by) for by, data in found for first, last in data["sequences"]]

    def is_said(self, sequence: int) -> bool:
        """Whether a later event lists this one."""
        return any(first <= sequence <= last < by for first, last, by in self._spans)
