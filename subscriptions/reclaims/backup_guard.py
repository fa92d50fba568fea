"""A restored backup sends nothing a second time: everything is held until an admin has checked it.

A database that was restored shows as open what was done since the backup was made. The head of the audit chain, kept
outside of it, tells. Asked at the start of a worker, by the sweep, and before each batch of sends.
"""

from __future__ import annotations

from datetime import datetime

from django.db.models import QuerySet

from integrations import sending
from licensehub.audit.actions import Action
from licensehub.audit.checkpoint import Mismatch, find_mismatch
from licensehub.audit.models import AuditEvent
from subscriptions.models import Reclaim, ReclaimRequest, RequestState

WAITING = (RequestState.COLLECTING, RequestState.OPEN)


def is_held() -> bool:
    """Check the audit, and hold all sending if needed. Returns whether nothing may be sent now, in either direction."""
    if sending.control().held_at:
        return True
    found = find_mismatch()
    if found is None:
        return False
    if found.nothing_kept and not something_open():
        return False  # a new installation, or one in which nothing could be sent twice
    if found.unsure:
        return True  # for now: it is asked again, and by then the broker may answer
    sending.hold(_why(found))
    return True


def _why(found: Mismatch) -> str:
    if not found.nothing_kept:
        return found.sentence
    approved, undecided = queued().count(), waiting().count()
    return (
        "Nothing is known outside of this database about the last event of its audit, while "
        f"{approved} approved {_plural(approved, 'item')} and {undecided} {_plural(undecided, 'request')} are open. "
        "If it was restored from a backup, some of that may have been sent already."
    )


def approvals_void_before() -> datetime | None:
    """Approvals from before this moment are void, because an admin asked for new ones when sending was released.

    Somebody who was reclaimed and let back in by a human looks, in a restored database, like one who was never
    reclaimed. Only a new approval tells them apart.
    """
    row = sending.control()
    events = AuditEvent.objects.filter(target_type=row._meta.label_lower, target_id=row.pk)
    released = events.filter(action=Action.SENDING_RELEASED, data__renew=True).order_by("-sequence").first()
    return released.at if released else None


def something_open() -> bool:
    return queued().exists() or waiting().exists()


def queued() -> QuerySet[Reclaim]:
    """Items that are approved and, as far as this database knows, not sent yet."""
    return Reclaim.objects.unfinished()


def waiting() -> QuerySet[ReclaimRequest]:
    """Requests that may still be approved."""
    return ReclaimRequest.objects.filter(state__in=WAITING)


def _plural(count: int, word: str) -> str:
    return word if count == 1 else f"{word}s"
