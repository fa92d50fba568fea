"""The events that webhooks get since a notification was opened: the same facts, found in the same place."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from django.db import transaction
from django.db.models import Q

from integrations.models import Connection, IntegrationProfile
from licensehub.database.clock import database_now
from subscriptions.candidates.caps import free_at
from subscriptions.models import (
    DownloadRun,
    HoldReason,
    Notification,
    NotificationKind,
    Reclaim,
    ReclaimRequest,
    ReclaimState,
    RunState,
)
from subscriptions.webhooks.events import Event, raise_event
from subscriptions.webhooks.requests import tell_request


def raise_new() -> int:
    """Write the event of each new notification, once, in the transaction that notes it. Returns how many."""
    rows = Notification.objects.filter(Q(ended_at=None) | Q(kind=NotificationKind.EXPIRED), raised_at=None)
    written = 0
    for row in rows.filter(kind__in=EVENTS).select_related("profile", "request__profile"):
        with transaction.atomic():
            if Notification.objects.filter(pk=row.pk, raised_at=None).update(raised_at=database_now()) == 1:
                EVENTS[NotificationKind(row.kind)](row)
                written += 1
    return written


def _of_request(event: Event) -> Callable[[Notification], None]:
    def tell(row: Notification) -> None:
        tell_request(event, ReclaimRequest.objects.select_related("profile").get(notifications=row))

    return tell


def _download(row: Notification) -> None:
    run = DownloadRun.objects.filter(profile=row.profile).first()
    if run and run.state == RunState.QUARANTINED:
        _tell(
            Event.DOWNLOAD_QUARANTINED,
            row,
            {"run": run.pk, "started_at": run.started_at.isoformat()},
            problem=run.problem,
        )
    else:
        last = DownloadRun.objects.complete().filter(profile=row.profile).first()
        finished = last.finished_at.isoformat() if last and last.finished_at else None
        _tell(Event.DOWNLOAD_MISSING, row, {"last_complete_at": finished})


def _connection(row: Notification) -> None:
    pk = int(row.key.split(":")[1])
    found = Connection.objects.defer("ciphertext").get(pk=pk)
    since = found.state_changed_at.isoformat()
    _tell(Event.CONNECTION_FAILED, row, {"connection": pk, "slot": found.slot, "since": since}, problem=found.error)


def _doubt(row: Notification) -> None:
    items = Reclaim.objects.filter(profile=row.profile, state=ReclaimState.IN_DOUBT).count()
    _tell(Event.RECLAIM_IN_DOUBT, row, {"items": items})


def _cap(row: Notification) -> None:
    held = Reclaim.objects.filter(
        profile=row.profile, state=ReclaimState.QUEUED, hold_reason=HoldReason.ROLLING_CAP
    ).count()
    _tell(Event.CAP_REACHED, row, {"waiting": held, "free_at": free_at(_profile(row)).isoformat()})


def _tell(event: Event, row: Notification, data: Mapping[str, Any], **details: Any) -> None:
    raise_event(event, profile=_profile(row), data=data, path=row.path, details=lambda: details)


def _profile(row: Notification) -> IntegrationProfile:
    return IntegrationProfile.objects.get(notifications=row)


EVENTS: Final[Mapping[NotificationKind, Callable[[Notification], None]]] = {
    NotificationKind.OPENED: _of_request(Event.REQUEST_WAITS),
    NotificationKind.ENDING: _of_request(Event.REQUEST_ENDS_SOON),
    NotificationKind.EXPIRED: _of_request(Event.REQUEST_EXPIRED),
    NotificationKind.DOWNLOAD: _download,
    NotificationKind.CONNECTION: _connection,
    NotificationKind.DOUBT: _doubt,
    NotificationKind.CAP: _cap,
}
