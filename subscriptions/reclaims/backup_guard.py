"""Hold all sending after a restored backup until an admin has checked it, so that nothing is sent a second time.

A restored database shows as open what was done after the backup was made. The checkpoint of the audit is kept outside
of the database, and differs from it then. The two are compared when a worker starts, by the sweep, and before each
batch of sends.
"""

from __future__ import annotations

from datetime import datetime

from django.db.models import QuerySet

from integrations import sending
from integrations.connectors.contract import english, english_plural
from integrations.installation import instance
from licensehub.audit.actions import Action
from licensehub.audit.chain.checkpoint import Mismatch, find_mismatch
from licensehub.audit.models import AuditEvent
from subscriptions.models import Reclaim, ReclaimRequest
from subscriptions.models.reclaims.request import WAITING

NOTHING_KNOWN = english(
    "Nothing is known outside of this database about the last event of its audit, while {items} and {requests} are "
    "open. If it was restored from a backup, some of that may have been sent already."
)


def is_held() -> bool:
    """Check whose database this is, and its audit, and hold all sending if needed.

    Returns whether nothing may be sent now, in either direction.
    """
    if sending.control().held_at:
        return True
    if not instance.is_ours():
        sending.hold(instance.COPY)
        return True
    found = find_mismatch()
    if found is None:
        return False
    if found.nothing_kept and not queued().exists() and not waiting().exists():
        return False  # a new installation, or one in which nothing could be sent twice
    if found.unsure:
        return True  # for now: the next check asks the broker again
    sending.hold(_why(found), kept=found.kept)
    return True


def _why(found: Mismatch) -> str:
    if not found.nothing_kept:
        return found.sentence
    approved, undecided = queued().count(), waiting().count()
    return NOTHING_KNOWN.format(
        items=english_plural("{} approved item", "{} approved items", approved).format(approved),
        requests=english_plural("{} request", "{} requests", undecided).format(undecided),
    )


def approvals_void_before() -> datetime | None:
    """Approvals from before this moment are void, because an admin asked for new ones when sending was released.

    A person may have been reclaimed and let back in by a human after the backup was made. The restored database shows
    neither, so only a new approval may reclaim this person.
    """
    row = sending.control()
    events = AuditEvent.objects.filter(target_type=row._meta.label_lower, target_id=row.pk)
    released = events.filter(action=Action.SENDING_RELEASED, data__renew=True).order_by("-sequence").first()
    return released.at if released else None


def queued() -> QuerySet[Reclaim]:
    """Items that are approved and, as far as this database knows, not sent yet."""
    return Reclaim.objects.unfinished()


def waiting() -> QuerySet[ReclaimRequest]:
    """Requests that may still be approved."""
    return ReclaimRequest.objects.filter(state__in=WAITING)
