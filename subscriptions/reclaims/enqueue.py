"""Put approved people into the queue of record: each one signed, with a row of its own, in both directions."""

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
    """One of many people: a row of RequestedRemoval, and no model object, which would cost more than its signature."""

    pk: int
    candidate_id: int
    restores_id: int | None
    evidence: dict[str, Any]
    candidate__subscription_id: int

    @property
    def name(self) -> str:
        return str(self.evidence["name"] or self.evidence["email"] or f"Member {self.evidence['external_id']}")


def enqueue(request: ReclaimRequest, *, actor: Actor, now: datetime) -> int:
    """Everybody who stands in it, in the caller's transaction. Returns how many.

    Raises NotActionable when something is under way for one of them already.
    """
    act, queued, last = uuid.uuid4(), 0, 0
    while people := _next_to_enqueue(request, last):
        set_column(RequestedRemoval, "signature", [(person.pk, sign(person, request)) for person in people])
        _record(request, people, _insert(request, people, now), actor, act)
        queued, last = queued + len(people), people[-1].pk
    return queued


def _next_to_enqueue(request: ReclaimRequest, last: int) -> list[Approved]:
    people = request.removals.standing().filter(pk__gt=last).order_by("pk")
    return [Approved(*person) for person in people.values_list(*Approved._fields)[:BATCH]]


def _insert(request: ReclaimRequest, people: list[Approved], now: datetime) -> list[int]:
    """At most one under way for each subscription: the partial unique index settles a race."""
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
    rows = ((pk, one.candidate__subscription_id, one.pk) for pk, one in zip(ids, people, strict=True))
    try:
        with transaction.atomic():
            insert(Reclaim, ("id", "subscription_id", "removal_id"), rows, same)
    except IntegrityError as error:
        raise NotActionable(
            "A reclaim or restore of one of these people is under way already. Nothing was changed; look at History, "
            "and try again when it has ended."
        ) from error
    return ids


def _record(request: ReclaimRequest, people: list[Approved], ids: list[int], actor: Actor, act: uuid.UUID) -> None:
    label, data = Reclaim._meta.label_lower, {"request": request.number}
    events = [Row(label, pk, person.name, data) for pk, person in zip(ids, people, strict=True)]
    record_rows(spec_for(request.direction).queued, actor=actor, rows=events, correlation=act)
