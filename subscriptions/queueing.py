"""Put approved people into the queue of record: each one sealed, with a row of its own, in both directions."""

from __future__ import annotations

import uuid
from datetime import datetime

from django.db import IntegrityError, transaction

from licensehub.audit.log import Actor, record_many
from subscriptions.candidates import NotActionable
from subscriptions.models import Reclaim, ReclaimRequest, RequestedRemoval
from subscriptions.seals import seal
from subscriptions.ways import way_of


def queue(request: ReclaimRequest, people: list[RequestedRemoval], *, actor: Actor, now: datetime) -> list[Reclaim]:
    """In the caller's transaction. Raises NotActionable when something is under way for one of them already."""
    for person in people:
        person.seal = seal(person, request)
    RequestedRemoval.objects.bulk_update(people, ["seal"])
    queued = _rows(request, people, now)
    targets = [(row, {"request": request.number}) for row in queued]
    record_many(way_of(request.direction).queued, actor=actor, targets=targets, correlation=uuid.uuid4())
    return queued


def _rows(request: ReclaimRequest, people: list[RequestedRemoval], now: datetime) -> list[Reclaim]:
    """At most one under way for each subscription: the partial unique index settles a race."""
    rows = [
        Reclaim(
            profile_id=request.profile_id,
            subscription=person.candidate.subscription,
            removal=person,
            direction=request.direction,
            queued_at=now,
        )
        for person in people
    ]
    try:
        with transaction.atomic():
            return Reclaim.objects.bulk_create(rows)
    except IntegrityError as error:
        raise NotActionable(
            "A reclaim or restore of one of these people is under way already. Nothing was changed; look at History, "
            "and try again when it has ended."
        ) from error
