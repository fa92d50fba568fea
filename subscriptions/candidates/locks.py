"""The locks of rows that several processes change.

All take them in this order: profile, candidates by their ids, request, head of the audit. The first event of a
transaction takes the head, so whoever changes several candidates locks all of them before.
"""

from __future__ import annotations

from django.db.models import QuerySet

from integrations.models import IntegrationProfile
from licensehub.audit.models import ChainHead
from licensehub.ui.lists.id_filter import IdIn, IdList
from subscriptions.bulk_sql import planned_for
from subscriptions.models import ReclaimRequest, RemovalCandidate


def lock_profile(profile_id: int) -> IntegrationProfile:
    """Lock the profile's row until the transaction ends. Everything that counts against a cap takes this lock first.

    `no_key`: PostgreSQL checks foreign keys to the profile when others commit, e.g. a rejection. With the key locked,
    they would wait for us while we wait for their rows.
    """
    return IntegrationProfile.objects.select_for_update(no_key=True).get(pk=profile_id)


def lock_candidate(candidate_id: int) -> None:
    """Lock the candidate's row before the rows of its request, as a withdrawal does, so that there is no deadlock."""
    RemovalCandidate.objects.select_for_update().get(pk=candidate_id)


def lock_candidates(rows: QuerySet[RemovalCandidate]) -> None:
    """Lock these candidates by their ids, before the first event of the transaction."""
    list(rows.order_by("pk").select_for_update().values_list("pk"))


def lock_request(request: ReclaimRequest) -> None:
    """Lock everybody in the request who is not dropped, then its row: for a decision, and for its end."""
    ids = IdList.of(request.removals.not_dropped().order_by().values_list("candidate", flat=True))
    with planned_for(ids.number):
        lock_candidates(RemovalCandidate.objects.filter(IdIn("pk", ids)))
    list(ReclaimRequest.objects.select_for_update().filter(pk=request.pk).values_list("pk"))


def lock_audit() -> None:
    """Wait for other changes of requests, until the end of the transaction. It is the last lock.

    Each writes its event in its own transaction. So the rows and the newest event of a request then belong together.
    """
    ChainHead.objects.select_for_update().get(pk=1)
