"""Every minute: repair abandoned work, end what has expired, and list what is due, for `tasks.sweep` to enqueue.

The database is the queue of record. A task that was lost is enqueued again from here.
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
    """Requeue abandoned claims, mark abandoned sends as in doubt, and end what has expired."""
    recover_claims()
    recover_sends()
    delivery.repair()
    close_collections()
    expire_requests()
    lapse_approvals()
    end_run_out()


def recover_claims() -> int:
    """The worker that claimed these items died before it sent anything, so they can be queued again."""
    return (
        Reclaim.objects.abandoned()
        .filter(state=ReclaimState.CLAIMED)
        .update(state=ReclaimState.QUEUED, token=None, lease_until=None)
    )


def recover_sends() -> int:
    """The worker that was sending these items died: the answer is lost."""
    message = "The process was ended while it waited for the vendor's answer."
    with transaction.atomic():
        lost = list(Reclaim.objects.select_for_update().abandoned().filter(state=ReclaimState.SENDING))
        Reclaim.objects.filter(pk__in=[item.pk for item in lost], state=ReclaimState.SENDING).update(
            state=ReclaimState.IN_DOUBT, lease_until=None, outcome=message
        )
        for direction, spec in SPECS.items():
            targets = [(item, {"outcome": message}) for item in lost if item.direction == direction]
            record_many(spec.endings[ReclaimState.IN_DOUBT], actor=None, targets=targets)
    return len(lost)


def lapse_approvals() -> int:
    """An approval is valid for some days only. What was held for longer needs a new one."""
    over = Reclaim.objects.filter(
        state=ReclaimState.QUEUED, removal__request__valid_until__lte=timezone.now()
    ).select_related(*WITH_ALL)
    return sum(_lapse(item) for item in over)


def _lapse(item: Reclaim) -> bool:
    try:
        mark_lapsed(item)
    except NotActionable:
        return False  # just claimed: the recheck before the send finds the same
    return True


def read_back_doubts(profile: IntegrationProfile) -> int:
    """Read back what is in doubt; nothing is sent here. Returns how many items ended."""
    doubts = Reclaim.objects.to_read_back().filter(profile=profile).select_related(*WITH_ALL)
    if not doubts:
        return 0
    try:
        connector = credential_store.connector_for(profile)
    except ConnectorError:
        return 0  # the connection is in Error and shows it; the items stay in doubt until it works
    return sum(_read(item, connector) for item in doubts)


def _read(item: Reclaim, connector: Connector) -> bool:
    try:
        read_back(item, connector)
    except NotActionable:
        return False  # another process just ended it
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
