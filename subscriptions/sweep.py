"""Every minute: repair what was left lying, end what is over, and ring for whatever is due.

The database is the queue of record; a task that was lost is rung for again here.
"""

from __future__ import annotations

from django.db import transaction
from django.utils import timezone

from integrations import credential_store
from integrations.connectors.contract import Connector, ConnectorError
from integrations.models import IntegrationProfile
from licensehub.audit.log import record_many
from subscriptions.approvals.closing import expire_requests
from subscriptions.approvals.collecting import close_collections
from subscriptions.errors import NotActionable
from subscriptions.models import DownloadRun, Reclaim, ReclaimState
from subscriptions.notices import delivery
from subscriptions.reclaims.direction import SPECS
from subscriptions.reclaims.outcomes import mark_lapsed, read_back
from subscriptions.rules.protections import end_run_out

WITH_ALL = ("profile", "subscription", "removal__request", "removal__candidate")


def repair() -> None:
    """Abandoned claims go back, abandoned sends become doubts, what is over ends."""
    recover_claims()
    recover_sends()
    delivery.repair()
    close_collections()
    expire_requests()
    lapse_approvals()
    end_run_out()


def recover_claims() -> int:
    """Whoever claimed these lives no more, and had not sent anything: safe to queue again."""
    return (
        Reclaim.objects.abandoned()
        .filter(state=ReclaimState.CLAIMED)
        .update(state=ReclaimState.QUEUED, token=None, lease_until=None)
    )


def recover_sends() -> int:
    """Whoever was sending these lives no more: the answer is lost."""
    words = "The process was ended while it waited for Miro's answer."
    with transaction.atomic():
        lost = list(Reclaim.objects.select_for_update().abandoned().filter(state=ReclaimState.SENDING))
        Reclaim.objects.filter(pk__in=[item.pk for item in lost], state=ReclaimState.SENDING).update(
            state=ReclaimState.IN_DOUBT, lease_until=None, outcome=words
        )
        for direction, way in SPECS.items():
            targets = [(item, {"outcome": words}) for item in lost if item.direction == direction]
            record_many(way.endings[ReclaimState.IN_DOUBT], actor=None, targets=targets)
    return len(lost)


def lapse_approvals() -> int:
    """An approval is good for some days only; what was held for longer needs a new one."""
    over = Reclaim.objects.filter(
        state=ReclaimState.QUEUED, removal__request__valid_until__lte=timezone.now()
    ).select_related(*WITH_ALL)
    return sum(_lapse(item) for item in over)


def _lapse(item: Reclaim) -> bool:
    try:
        mark_lapsed(item)
    except NotActionable:
        return False  # claimed in this moment: the look before the send finds the same
    return True


def read_back_doubts(profile: IntegrationProfile) -> int:
    """Read what is in doubt; nothing is ever sent here. Returns how many could be settled."""
    doubts = Reclaim.objects.to_read_back().filter(profile=profile).select_related(*WITH_ALL)
    if not doubts:
        return 0
    try:
        connector = credential_store.connector_for(profile)
    except ConnectorError:
        return 0  # the connection is in Error and says so; the doubt stays until it works
    return sum(_read(item, connector) for item in doubts)


def _read(item: Reclaim, connector: Connector) -> bool:
    try:
        read_back(item, connector)
    except NotActionable:
        return False  # another process settled it in this moment
    return bool(item.finished_at)


def profiles_to_download() -> list[int]:
    """Ids of the profiles whose first download is due, or whose download was abandoned."""
    due = IntegrationProfile.objects.downloading().filter(download_due_at__lte=timezone.now())
    abandoned = DownloadRun.objects.abandoned().values_list("profile_id", flat=True)
    return sorted({*due.values_list("pk", flat=True), *abandoned})


def profiles_to_reclaim() -> list[int]:
    """Ids of the profiles with something due to be sent or to be read back."""
    due = Reclaim.objects.due().values_list("profile_id", flat=True)
    doubts = Reclaim.objects.to_read_back().values_list("profile_id", flat=True)
    return sorted({*due, *doubts})
