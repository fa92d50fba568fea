"""Put approved people into the queue of record, in both directions: each one is signed and gets a row of Reclaim."""

from __future__ import annotations

import uuid
from datetime import datetime
from typing import Any, NamedTuple

from django.db import IntegrityError, transaction

from licensehub.audit.log import Actor, Row, record_rows
from subscriptions.bulk_sql import insert, new_ids, set_column
from subscriptions.errors import NotActionable
from subscriptions.models import Reclaim, ReclaimRequest, ReclaimState, RequestedRemoval
from subscriptions.reclaims.direction import spec_for
from subscriptions.reclaims.signatures import sign

BATCH = 5000


class Approved(NamedTuple):
    """One person: a row of RequestedRemoval. A model object would take longer than the signature."""

    pk: int
    candidate_id: int
    restores_id: int | None
    evidence: dict[str, Any]
    candidate__subscription_id: int

    @property
    def name(self) -> str:
        return str(self.evidence["name"] or self.evidence["email"] or f"Member {self.evidence['external_id']}")


def enqueue(request: ReclaimRequest, *, actor: Actor, now: datetime) -> int:
    """Sign and queue everybody who was not dropped, in the caller's transaction. Returns how many.

    Raises NotActionable when something is under way for one of them already.
    """
    correlation, queued, last = uuid.uuid4(), 0, 0
    while people := _next_to_enqueue(request, last):
        set_column(RequestedRemoval, "signature", [(person.pk, sign(person, request)) for person in people])
        _record(request, people, _insert(request, people, now), actor, correlation)
        queued, last = queued + len(people), people[-1].pk
    return queued


def _next_to_enqueue(request: ReclaimRequest, last: int) -> list[Approved]:
    people = request.removals.not_dropped().filter(pk__gt=last).order_by("pk")
    return [Approved(*person) for person in people.values_list(*Approved._fields)[:BATCH]]


def _insert(request: ReclaimRequest, people: list[Approved], now: datetime) -> list[int]:
    """The partial unique index refuses a second item of one subscription, also when two processes insert at once."""
    same = {
        "profile_id": request.profile_id,
        "direction": request.direction,
        "state": ReclaimState.QUEUED.value,
        "queued_at": now,
        "hold_reason": "",
        "request_id": "",
        "read_back": "",
        "reads": 0,
        "outcome": "",
    }
    ids = new_ids(Reclaim, len(people))
    rows = ((pk, person.candidate__subscription_id, person.pk) for pk, person in zip(ids, people, strict=True))
    try:
        with transaction.atomic():
            insert(Reclaim, ("id", "subscription_id", "removal_id"), rows, same)
    except IntegrityError as error:
        raise NotActionable(
            "A reclaim or restore of one of these people is under way already. Nothing was changed; look at History, "
            "and try again when it has ended."
        ) from error
    return ids


def _record(
    request: ReclaimRequest, people: list[Approved], ids: list[int], actor: Actor, correlation: uuid.UUID
) -> None:
    label, data = Reclaim._meta.label_lower, {"request": request.number}
    events = [Row(label, pk, person.name, data) for pk, person in zip(ids, people, strict=True)]
    record_rows(spec_for(request.direction).queued, actor=actor, rows=events, correlation=correlation)
