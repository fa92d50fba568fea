"""Put approved people into the queue of record, in both directions. Each person is signed and gets a row of Reclaim."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from datetime import datetime

from django.db import IntegrityError, transaction
from django.utils.translation import gettext as _

from licensehub.audit.log import Actor, Row, record_rows
from subscriptions.bulk_sql import insert, new_ids
from subscriptions.candidates.request_digest import RequestedPerson
from subscriptions.errors import NotActionable
from subscriptions.models import Reclaim, ReclaimRequest, ReclaimState
from subscriptions.reclaims.direction import spec_for
from subscriptions.reclaims.signed.signatures import signer

BATCH = 5000


def enqueue(request: ReclaimRequest, people: Sequence[RequestedPerson], *, actor: Actor, now: datetime) -> int:
    """Sign and queue these people of the request, in the caller's transaction. Returns how many.

    Raises NotActionable when something is under way for one of them already.
    """
    action, correlation = spec_for(request.direction).queued, uuid.uuid4()
    label, number, queued = Reclaim._meta.label_lower, request.number, 0
    for start in range(0, len(people), BATCH):
        batch = people[start : start + BATCH]
        events = [
            Row(label, pk, person.name, {"request": number, "removal": person.pk})
            for pk, person in zip(_insert(request, batch, now), batch, strict=True)
        ]
        record_rows(action, actor=actor, rows=events, correlation=correlation)
        queued += len(events)
    return queued


def _insert(request: ReclaimRequest, people: Sequence[RequestedPerson], now: datetime) -> list[int]:
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
    ids, sign = new_ids(Reclaim, len(people)), signer(request)
    rows = (
        (
            pk,
            person.subscription_id,
            person.pk,
            person.license,
            sign(person.pk, person.candidate_id, person.restores_id, person.evidence),
        )
        for pk, person in zip(ids, people, strict=True)
    )
    try:
        with transaction.atomic():
            insert(Reclaim, ("id", "subscription_id", "removal_id", "license", "signature"), rows, same)
    except IntegrityError as error:
        raise NotActionable(
            _(
                "A reclaim or restore of one of these people is under way already. Nothing was changed; "
                "look at History, and try again when it has ended."
            )
        ) from error
    return ids
