"""Put approved people into the queue of record, in both directions. Each person is signed and gets a row of Reclaim."""

from __future__ import annotations

import uuid
from datetime import datetime
from typing import Any, NamedTuple

from django.db import IntegrityError, transaction
from django.utils.translation import gettext as _

from licensehub.audit.log import Actor, Row, record_rows
from licensehub.ui.lists.id_filter import IdIn, IdList
from subscriptions.bulk_sql import insert, new_ids
from subscriptions.errors import NotActionable
from subscriptions.models import Reclaim, ReclaimRequest, ReclaimState, RemovalCandidate
from subscriptions.reclaims.direction import spec_for
from subscriptions.reclaims.signed.signatures import sign

BATCH = 5000


class Approved(NamedTuple):
    """The columns of one person's RequestedRemoval. Making a model object would take longer than the signature."""

    pk: int
    candidate_id: int
    restores_id: int | None
    evidence: dict[str, Any]

    @property
    def name(self) -> str:
        return str(self.evidence["name"] or self.evidence["email"] or f"Member {self.evidence['external_id']}")


def enqueue(request: ReclaimRequest, *, actor: Actor, now: datetime) -> int:
    """Sign and queue everybody who was not dropped, in the caller's transaction. Returns how many.

    Raises NotActionable when something is under way for one of them already.
    """
    action, correlation = spec_for(request.direction).queued, uuid.uuid4()
    label, number = Reclaim._meta.label_lower, request.number
    approved = request.removals.not_dropped().order_by("pk").values_list(*Approved._fields)
    queued, last = 0, 0
    while people := [Approved(*person) for person in approved.filter(pk__gt=last)[:BATCH]]:
        ids = _insert(request, people, now)
        events = [
            Row(label, pk, person.name, {"request": number, "removal": person.pk})
            for pk, person in zip(ids, people, strict=True)
        ]
        record_rows(action, actor=actor, rows=events, correlation=correlation)
        queued, last = queued + len(people), people[-1].pk
    return queued


def _insert(request: ReclaimRequest, people: list[Approved], now: datetime) -> list[int]:
    """The partial unique index refuses a second item of one subscription, also when two processes insert at once."""
    candidates = RemovalCandidate.objects.filter(IdIn("pk", IdList.of(person.candidate_id for person in people)))
    subscriptions = dict(candidates.values_list("pk", "subscription"))
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
    rows = (
        (pk, subscriptions[person.candidate_id], person.pk, person.evidence["license"], sign(person, request))
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
