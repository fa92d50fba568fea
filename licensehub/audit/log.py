"""The only writers of the audit. They refuse to run outside of a transaction, so no action is without its event.

An event is in English, whatever language its actor reads.
"""

from __future__ import annotations

import json
import logging
import os
import uuid
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, NamedTuple

from django.conf import settings
from django.contrib.auth.models import User
from django.core.serializers.json import DjangoJSONEncoder
from django.db import models
from django.utils import translation

from licensehub.audit.actions import ANCHORED_AT_ONCE, Action
from licensehub.audit.anchors.write import write_after_commit
from licensehub.audit.chain.checkpoint import keep_after_commit
from licensehub.audit.chain.offline_verifier import body_digest, canonical, chain_hash, text_digest
from licensehub.audit.chain.signature import signer
from licensehub.audit.models import ChainHead
from licensehub.audit.store import SharedColumns, store
from licensehub.audit.transactions import open_transactions
from licensehub.database.clock import database_now
from licensehub.logs import console, log_context

log = logging.getLogger(__name__)

SYSTEM = "LicenseHub"
SALT = 16  # bytes
# Types that JSON returns unchanged.
PLAIN = frozenset({str, int, bool, type(None)})

Actor = User | None

# Fields of each event that a person causes, as long as `by_means_of` holds: the id of the API token that acts.
_means: ContextVar[Mapping[str, Any] | None] = ContextVar("means", default=None)


class Row(NamedTuple):
    """The subject of one event: the label of a model, the id of its row, its name as text, and the details."""

    target_type: str
    target_id: int
    label: str
    data: Mapping[str, Any]


class NotInTransaction(RuntimeError):
    """An audit event must commit together with the action that it records."""


@contextmanager
def by_means_of(**fields: Any) -> Iterator[None]:
    """In the `with` block, add these fields to each event that has an actor."""
    before = _means.set(fields)
    try:
        yield
    finally:
        _means.reset(before)


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
    with translation.override("en"):
        rows = [Row(target._meta.label_lower, target.pk, str(target), data) for target, data in targets]
    record_rows(action, actor=actor, rows=rows, correlation=correlation)


def record_rows(action: Action, *, actor: Actor, rows: Sequence[Row], correlation: uuid.UUID | None = None) -> None:
    """The same as `record_many`, for many thousands of targets without an object for each."""
    if open_transactions() <= getattr(settings, "TRANSACTIONS_OF_TESTS", 0):
        raise NotInTransaction(f"{action} must be recorded inside the transaction of its action")
    if not rows:
        return
    if means := console.origin() | dict((actor and _means.get()) or {}):
        rows = [row._replace(data={**row.data, **means}) for row in rows]
    # A process that waited for the head gets a time after the event before.
    head = ChainHead.objects.select_for_update().get(pk=1)
    common = SharedColumns(
        at=database_now(),
        action=Action(action).value,
        actor_id=actor.pk if actor else None,
        actor_name=actor.get_username() if actor else SYSTEM,
        correlation=correlation or log_context.correlation() or uuid.uuid4(),
    )
    first = head.sequence + 1
    with translation.override("en"):
        store(_chained(head, rows, common), common)
    head.save(update_fields=["sequence", "hash"])
    log.info(
        "Recorded",
        extra={"action": common.action, "events": f"{first}-{head.sequence}", "correlation": str(common.correlation)},
    )
    keep_after_commit()
    if action in ANCHORED_AT_ONCE:
        write_after_commit()


def _chained(head: ChainHead, rows: Sequence[Row], common: SharedColumns) -> Iterator[tuple[Any, ...]]:
    """The events in the order of `store.EVENT_COLUMNS`, each linked to the one before. It advances `head`."""
    sign, at, correlation = signer(), common.at.isoformat(), str(common.correlation)
    who_did_what = (common.action, common.actor_id, common.actor_name)
    salts = os.urandom(SALT * len(rows)).hex()
    for place, row in enumerate(rows):
        sequence, previous = head.sequence + 1, head.hash
        salt = salts[2 * SALT * place : 2 * SALT * (place + 1)]
        label, data = row.label[:254], canonical(_plain(row.data))
        text = text_digest(salt, label, data)
        body = body_digest(sequence, at, *who_did_what, row.target_type, row.target_id, text, correlation)
        head.sequence, head.hash = sequence, chain_hash(previous, body)
        about = (row.target_type, row.target_id, label, data)
        yield (sequence, *about, salt, text, previous, head.hash, sign(head.hash))


def _plain(data: Mapping[str, Any]) -> Any:
    """The data in the form that the database returns, so that a digest that is computed later is the same."""
    if all(type(value) in PLAIN for value in data.values()):
        return data
    return json.loads(json.dumps(dict(data), cls=DjangoJSONEncoder))
