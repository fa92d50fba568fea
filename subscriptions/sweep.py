"""The steps of the sweep, every minute: repair abandoned work, end what has expired, and list what is due.

The database is the queue of record. `tasks.sweep` enqueues what is due, and so also each task that was lost.
"""

from __future__ import annotations

import contextlib
import logging
import math
import time

from celery.exceptions import SoftTimeLimitExceeded
from django.db import transaction
from django.db.models import F, Q

from integrations.connectors.contract import ConnectorError, english
from integrations.credentials import credential_store
from integrations.installation import findings
from integrations.models import IntegrationProfile
from licensehub import stopping
from licensehub.audit.log import record_many
from licensehub.database.clock import database_now
from licensehub.ui.lists.id_filter import IdIn, IdList
from subscriptions.accounts import rights_changes
from subscriptions.approvals.closing import drop_needless_restores, end_empty_requests, expire_requests
from subscriptions.approvals.collecting import close_collections
from subscriptions.bulk_sql import large_tables
from subscriptions.candidates import locks
from subscriptions.errors import NotActionable
from subscriptions.models import (
    CandidateState,
    Direction,
    DownloadRun,
    Reclaim,
    ReclaimRequest,
    ReclaimState,
    RequestedRemoval,
    RequestState,
)
from subscriptions.models.download import UNDER_WAY
from subscriptions.notices import delivery
from subscriptions.notifications import delivery as notifications
from subscriptions.notifications.digests import make_digests
from subscriptions.notifications.events import raise_new
from subscriptions.notifications.recipients import update
from subscriptions.reclaims.direction import SPECS
from subscriptions.reclaims.outcomes import mark_given_up, mark_lapsed, mark_tampered, read_back
from subscriptions.reclaims.signed.state import why_tampered
from subscriptions.rules.evaluation import profiles_to_evaluate
from subscriptions.rules.protections import end_run_out
from subscriptions.schedules.schedules import profiles_with_due_slot
from subscriptions.webhooks import delivery as webhooks

logger = logging.getLogger(__name__)

# A sweep takes seconds, and the next one follows within a minute.
LAPSED_AT_ONCE = 2000
# Workers in a row that may end while they work on the same item, e.g. since it makes them use all memory.
MAX_TRIES = 5
WITH_ALL = ("profile", "subscription", "removal__request", "removal__candidate")


def repair() -> None:
    """Requeue abandoned claims, mark abandoned sends as in doubt, and end what has expired.

    Each step runs alone: an error in one is reported, and the others go on.
    """
    for step in (
        recover_claims,
        recover_sends,
        end_given_up,
        end_tampered,
        delivery.repair,
        close_collections,
        drop_needless_restores,
        end_empty_requests,
        expire_requests,
        lapse_approvals,
        end_run_out,
        rights_changes.follow_all,
        rights_changes.take_due,
    ):
        findings.run_step(f"{step.__module__}.{step.__name__}", step)


def notify() -> None:
    """Find new notifications and their recipients."""
    notifications.repair()
    update()
    make_digests()


def tell_webhooks() -> None:
    """Write the events of new notifications, and repair deliveries. It runs alone: mails never wait for webhooks."""
    webhooks.repair()
    raise_new()


def recover_claims() -> int:
    """The worker that claimed these items died or failed before it sent anything, so they can be queued again."""
    return (
        Reclaim.objects.abandoned()
        .filter(state=ReclaimState.CLAIMED)
        .update(state=ReclaimState.QUEUED, token=None, lease_until=None, tries=F("tries") + 1)
    )


def recover_sends() -> int:
    """The worker that was sending these items died, so the answer is lost. The items are in doubt."""
    message = english("The process was ended while it waited for the vendor's answer.")
    with transaction.atomic():
        lost = list(Reclaim.objects.select_for_update().abandoned().filter(state=ReclaimState.SENDING))
        Reclaim.objects.filter(pk__in=[item.pk for item in lost], state=ReclaimState.SENDING).update(
            state=ReclaimState.IN_DOUBT, lease_until=None, outcome=message
        )
        for direction, spec in SPECS.items():
            targets = [(item, {"outcome": message}) for item in lost if item.direction == direction]
            record_many(spec.endings[ReclaimState.IN_DOUBT], actor=None, targets=targets)
    return len(lost)


def end_given_up() -> int:
    """End the items on which worker after worker ended or failed: a person must look at them. Returns how many."""
    failing = Reclaim.objects.filter(state=ReclaimState.QUEUED, tries__gte=MAX_TRIES)
    with large_tables():
        items = list(failing.select_related(*WITH_ALL)[:LAPSED_AT_ONCE])
    ended = 0
    for item in items:
        with contextlib.suppress(NotActionable):  # it was just claimed, and counts as queued again
            mark_given_up(item)
            ended += 1
    return ended


def end_tampered() -> int:
    """End the items that can never be sent, since their other rows say that nobody waits for them. Returns how many.

    LicenseHub changes these rows together with the item. A send finds the other changes from outside.
    """
    waiting = Reclaim.objects.filter(state=ReclaimState.QUEUED)
    other = ~Q(removal__request__state=RequestState.APPROVED) | Q(removal__dropped_at__isnull=False)
    closed = ~Q(removal__candidate__state=CandidateState.AWAITING_REVOCATION)
    other |= Q(direction=Direction.DEACTIVATE) & closed
    with large_tables():
        items = list(waiting.filter(other).select_related(*WITH_ALL)[:LAPSED_AT_ONCE])
    ended = 0
    for item in items:
        # It may have just been claimed, and the send finds the same.
        with contextlib.suppress(NotActionable), transaction.atomic():
            locks.lock_profile(item.profile_id)
            if sentence := why_tampered(item):
                mark_tampered(item, sentence)
                ended += 1
    return ended


def lapse_approvals() -> int:
    """End the items whose approval is no longer valid: they were held for too long, and need a new one."""
    lapsed = 0
    for item in _lapsed():
        try:
            mark_lapsed(item)
        except NotActionable:
            continue  # it was just claimed, and the recheck before the send finds the same
        lapsed += 1
    return lapsed


def _lapsed() -> list[Reclaim]:
    """The queued items whose approval is no longer valid. Starts at the queue, since old requests are many."""
    queued = Reclaim.objects.filter(state=ReclaimState.QUEUED)
    removals = IdList.of(queued.values_list("removal", flat=True))
    people = RequestedRemoval.objects.filter(IdIn("pk", removals)).order_by()
    requests = list(people.values_list("request", flat=True).distinct())
    lapsed = ReclaimRequest.objects.filter(pk__in=requests, valid_until__lte=database_now())
    over = IdList.read(people.filter(request__in=list(lapsed.values_list("pk", flat=True)))[:LAPSED_AT_ONCE])
    if not over.number:
        return []
    with large_tables():
        return list(queued.filter(IdIn("removal", over)).select_related(*WITH_ALL))


def read_back_doubts(profile: IntegrationProfile, *, seconds: float = math.inf) -> int:
    """Read back the items in doubt, for about `seconds`. Nothing is sent here. Returns how many items ended.

    An item that cannot be read back holds up none of the others. Raises its error last.
    """
    ends_at = time.monotonic() + seconds
    doubts = Reclaim.objects.to_read_back().filter(profile=profile).select_related(*WITH_ALL)
    if not doubts:
        return 0
    try:
        connector = credential_store.connector_for(profile)
    except ConnectorError:
        return 0  # the connection is in Error and shows it; the items stay in doubt until it works
    ended = 0
    failed: Exception | None = None
    for item in doubts:
        if stopping.is_over(ends_at):
            break
        try:
            read_back(item, connector)
        except NotActionable:
            continue  # another process has just ended it
        except SoftTimeLimitExceeded:
            raise
        except Exception as error:
            logger.exception("Item %s cannot be read back", item.pk)
            failed = error
        ended += item.finished_at is not None
    if failed:
        raise failed
    return ended


def profiles_to_download() -> list[int]:
    """Ids of the profiles whose first download is due, or whose download was abandoned."""
    due = IntegrationProfile.objects.downloading().filter(download_due_at__lte=database_now())
    abandoned = DownloadRun.objects.abandoned().values_list("profile_id", flat=True)
    return sorted({*due.values_list("pk", flat=True), *abandoned})


def runs_to_follow_up() -> list[int]:
    """Ids of the runs whose facts are written, and on whose follow-up no process works."""
    return sorted(DownloadRun.objects.to_follow_up().values_list("pk", flat=True))


def others_wait_for_a_download(profile_id: int) -> bool:
    """Whether a download of another profile waits for a worker, or its follow-up, or an occurrence of its schedule."""
    if DownloadRun.objects.to_follow_up().exclude(profile=profile_id).exists():
        return True
    return any(pk != profile_id for find in (profiles_to_download, profiles_with_due_slot) for pk in find())


def others_wait_for_an_evaluation(profile_id: int) -> bool:
    """Whether something of another profile waits for the workers that evaluate: they download, too."""
    return others_wait_for_a_download(profile_id) or any(pk != profile_id for pk in profiles_to_evaluate())


def others_download(profile_id: int) -> bool:
    """Whether a download of another profile is under way, or waits for a worker."""
    under_way = DownloadRun.objects.filter(state__in=UNDER_WAY).exclude(profile=profile_id)
    return under_way.exists() or others_wait_for_a_download(profile_id)


def others_wait_for_a_reclaim(profile_id: int) -> bool:
    """Whether something of another profile is due, and no worker sends for that profile."""
    served = Reclaim.objects.filter(lease_until__gt=database_now()).order_by().values("profile")
    return Reclaim.objects.due().exclude(profile=profile_id).exclude(profile__in=served).exists()


def profiles_to_reclaim() -> list[int]:
    """Ids of the profiles with something that is due to be sent or read back."""
    due = Reclaim.objects.due().values_list("profile_id", flat=True)
    doubts = Reclaim.objects.to_read_back().values_list("profile_id", flat=True)
    return sorted({*due, *doubts})
