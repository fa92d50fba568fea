"""Put approved people into the queue of record: each one sealed, with a row of its own, in both directions."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from django.db import IntegrityError, transaction

from licensehub.audit.log import Actor, Row, record_rows
from subscriptions.bulk import insert, new_ids, set_column
from subscriptions.candidates import NotActionable
from subscriptions.models import Reclaim, ReclaimRequest, ReclaimState, RemovalCandidate, RequestedRemoval
from subscriptions.seals import seal
from subscriptions.ways import way_of

COLUMNS = (
    "id",
    "profile_id",
    "subscription_id",
    "removal_id",
    "direction",
    "state",
    "queued_at",
    "hold_reason",
    "request_id",
    "read_back",
    "reads",
    "outcome",
)


def queue(request: ReclaimRequest, people: Sequence[RequestedRemoval], *, actor: Actor, now: datetime) -> None:
    """In the caller's transaction. Raises NotActionable when something is under way for one of them already."""
    set_column(RequestedRemoval, "seal", [(person.pk, seal(person, request)) for person in people])
    ids = _insert(request, people, now)
    label = Reclaim._meta.label_lower
    data = {"request": request.number}
    events = [Row(label, pk, _name_of(person), data) for pk, person in zip(ids, people, strict=True)]
    record_rows(way_of(request.direction).queued, actor=actor, rows=events)


def _name_of(person: RequestedRemoval) -> str:
    facts = person.evidence
    return str(facts["name"] or facts["email"] or f"Member {facts['external_id']}")


def _insert(request: ReclaimRequest, people: Sequence[RequestedRemoval], now: datetime) -> list[int]:
    """At most one under way for each subscription: the partial unique index settles a race."""
    candidates = RemovalCandidate.objects.filter(removals__request=request)
    subscriptions = dict(candidates.values_list("pk", "subscription_id"))
    same = (request.direction, ReclaimState.QUEUED.value, now, "", "", "", 0, "")
    ids = new_ids(Reclaim, len(people))
    rows = (
        (pk, request.profile_id, subscriptions[person.candidate_id], person.pk, *same)
        for pk, person in zip(ids, people, strict=True)
    )
    try:
        with transaction.atomic():
            insert(Reclaim, COLUMNS, rows)
    except IntegrityError as error:
        raise NotActionable(
            "A reclaim or restore of one of these people is under way already. Nothing was changed; look at History, "
            "and try again when it has ended."
        ) from error
    return ids
