"""Request more people than the cap of one request allows: the first ones, several requests, or one over the cap."""

from __future__ import annotations

from enum import StrEnum
from math import ceil

from django.db import transaction
from django.db.models import QuerySet

from licensehub.audit.log import Actor
from licensehub.ui.lists.id_filter import IdIn, IdList
from subscriptions.approvals.request import one_profile, request_reclaim
from subscriptions.bulk_sql import planned_for
from subscriptions.candidates import caps, locks
from subscriptions.models import CandidateState, ReclaimRequest, RemovalCandidate

# Each request is a decision and a mail of its own.
MAX_REQUESTS = 20


class Split(StrEnum):
    """`SEVERAL`: requests of at most the cap each. `FIRST`: one request, with those who are inactive the longest.

    `ONE`: one request for all, which cannot be approved before another person raises its cap.
    """

    SEVERAL = "several"
    FIRST = "first"
    ONE = "one"


def parts_of(count: int, cap: int) -> int:
    """Return how many requests of at most `cap` people it takes, at most MAX_REQUESTS."""
    return min(MAX_REQUESTS, ceil(count / cap))


def request_split(
    candidates: QuerySet[RemovalCandidate], *, actor: Actor, reason: str, split: Split
) -> list[ReclaimRequest]:
    """Request the Ready ones of these candidates of one profile, those who are inactive the longest first.

    All requests are made, or none. People beyond the last one stay Ready. Raises as `request_reclaim` does.
    """
    ready = candidates.filter(state=CandidateState.READY)
    profile = one_profile(ready)
    with transaction.atomic():
        locks.lock_profile(profile.pk)
        cap = caps.batch_of(profile)
        with planned_for(ready.count()):
            ids = list(ready.order_by("idle_since", "pk").values_list("pk", flat=True))
        if split == Split.ONE or len(ids) <= cap:
            return [request_reclaim(candidates, actor=actor, reason=reason)]
        parts = 1 if split == Split.FIRST else parts_of(len(ids), cap)
        chosen = [IdList.of(ids[start : start + cap]) for start in range(0, parts * cap, cap)]
        locks.lock_candidates(RemovalCandidate.objects.filter(IdIn("pk", IdList.of(ids[: parts * cap]))))
        return [
            request_reclaim(RemovalCandidate.objects.filter(IdIn("pk", part)), actor=actor, reason=reason)
            for part in chosen
        ]
