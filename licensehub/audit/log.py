"""The only writers of the audit. No audit, no act: both refuse to run outside a transaction."""

from __future__ import annotations

import hashlib
import hmac
import json
import uuid
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from django.conf import settings
from django.contrib.auth.models import User
from django.core.serializers.json import DjangoJSONEncoder
from django.db import connection, models
from django.utils import timezone

from licensehub.audit.actions import Action
from licensehub.audit.kept_head import keep_after_commit
from licensehub.audit.models import AuditEvent, ChainHead

SYSTEM = "LicenseHub"
BATCH = 500

Actor = User | None


class NotInTransaction(RuntimeError):
    """An audit event must commit together with the act that it tells of."""


@dataclass(frozen=True, slots=True)
class ChainReport:
    """The result of walking the chain. `broken_at` is the first sequence that does not fit; None when whole."""

    events: int
    broken_at: int | None


def open_transactions() -> int:
    """How many transactions and savepoints are open on this thread's connection.

    A test's own outer transactions do not count; `TRANSACTIONS_OF_TESTS` says how many there are.
    """
    return len(connection.savepoint_ids) + int(connection.in_atomic_block)


def record(
    action: Action,
    *,
    actor: Actor,
    target: models.Model,
    data: Mapping[str, Any] | None = None,
    correlation: uuid.UUID | None = None,
) -> None:
    """Write one event in the caller's transaction. `actor=None` means that LicenseHub itself acted."""
    record_many(action, actor=actor, targets=[(target, data or {})], correlation=correlation)


def record_many(
    action: Action,
    *,
    actor: Actor,
    targets: Iterable[tuple[models.Model, Mapping[str, Any]]],
    correlation: uuid.UUID | None = None,
) -> None:
    """Write one event for each (target, data), in one chain and under one correlation id."""
    if open_transactions() <= getattr(settings, "TRANSACTIONS_OF_TESTS", 0):
        raise NotInTransaction(f"{action} must be recorded inside the transaction of its act")
    rows = list(targets)
    if not rows:
        return
    common = {
        "action": Action(action).value,
        "actor_id": actor.pk if actor else None,
        "actor_name": actor.get_username() if actor else SYSTEM,
        "correlation": correlation or uuid.uuid4(),
        "at": timezone.now(),
    }
    head = ChainHead.objects.select_for_update().get(pk=1)
    AuditEvent.objects.bulk_create(list(_chained(head, rows, common)), batch_size=BATCH)
    head.save(update_fields=["sequence", "hash"])
    keep_after_commit()


def _chained(
    head: ChainHead, rows: list[tuple[models.Model, Mapping[str, Any]]], common: Mapping[str, Any]
) -> Iterator[AuditEvent]:
    for target, data in rows:
        event = AuditEvent(
            sequence=head.sequence + 1,
            previous_hash=head.hash,
            target_type=target._meta.label_lower,
            target_id=target.pk,
            target_label=str(target)[:254],
            data=_plain(data),
            **common,
        )
        event.hmac = seal(event)
        head.sequence, head.hash = event.sequence, event.hmac
        yield event


def _plain(data: Mapping[str, Any]) -> Any:
    """The data as the database gives it back: only then does a seal computed later agree."""
    return json.loads(json.dumps(dict(data), cls=DjangoJSONEncoder))


def seal(event: AuditEvent) -> str:
    """HMAC-SHA-256 (RFC 2104) over the event and the seal before it, with a key that is not in the database."""
    content = [
        event.sequence,
        event.at.isoformat(),
        event.action,
        event.actor_id,
        event.actor_name,
        event.target_type,
        event.target_id,
        event.target_label,
        event.data,
        str(event.correlation),
        event.previous_hash,
    ]
    text = json.dumps(content, sort_keys=True, separators=(",", ":"))
    return hmac.new(settings.AUDIT_KEY.encode(), text.encode(), hashlib.sha256).hexdigest()


def verify_chain() -> ChainReport:
    """Walk the whole chain: every event sealed, each fastened to the one before, none missing up to the head."""
    previous, expected = "0" * 64, 0
    for event in AuditEvent.objects.order_by("sequence").iterator(chunk_size=2000):
        expected += 1
        fits = event.sequence == expected and event.previous_hash == previous
        if not fits or not hmac.compare_digest(event.hmac, seal(event)):
            return ChainReport(events=expected, broken_at=expected)
        previous = event.hmac
    head = ChainHead.objects.get(pk=1)
    whole = (head.sequence, head.hash) == (expected, previous)
    return ChainReport(events=expected, broken_at=None if whole else expected + 1)
