"""The findings for an admin: anchors that are missing or wrong, and streams that are behind."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from django.conf import settings

from licensehub.audit.anchors.destinations import MAIL, configured
from licensehub.audit.anchors.keys import WrongKeys, current_keys
from licensehub.audit.anchors.write import MISSED_AFTER, last_taken, newest_genuine, this_host
from licensehub.audit.models import AuditEvent, Destination, StoredAnchor
from licensehub.audit.stream.streams import streams
from licensehub.database.clock import database_now

# A stream sends every minute.
BEHIND_AFTER = timedelta(minutes=30)


class Problem(StrEnum):
    """The kinds of findings."""

    NO_KEY = "no_key"
    MISSED = "missed"  # events are older than two hours, and no anchor proves them
    NOT_TAKEN = "not_taken"  # a destination has not taken an anchor
    CUT = "cut"
    FORGED = "forged"
    OTHER_HISTORY = "other_history"
    STREAM_BEHIND = "stream_behind"


@dataclass(frozen=True, slots=True)
class AuditFinding:
    """`destination` is the name of its row, or "". `since` is when it began. `detail` is English."""

    problem: Problem
    destination: str = ""
    since: datetime | None = None
    detail: str = ""


def audit_findings() -> list[AuditFinding]:
    """All findings, the worst first. A handful of queries, and nothing outside is asked."""
    now = database_now()
    rows = {row.name: row for row in Destination.objects.all()}
    return [*_wrong_copies(rows), *_anchors(rows, now), *_streams(rows, now)]


def _wrong_copies(rows: dict[str, Destination]) -> list[AuditFinding]:
    return [
        AuditFinding(Problem(row.wrong), name, row.compared_at)
        for name, row in sorted(rows.items())
        if row.wrong and name.startswith("anchor.")
    ]


def _anchors(rows: dict[str, Destination], now: datetime) -> list[AuditFinding]:
    try:
        keys = current_keys()
    except WrongKeys as wrong:
        return [AuditFinding(Problem.NO_KEY, detail=str(wrong))]
    if keys.signing is None:
        return [AuditFinding(Problem.NO_KEY)]
    found = []
    proved = newest_genuine(keys)
    if since := _oldest_event_after(proved.sequence if proved else 0, now - MISSED_AFTER):
        found.append(AuditFinding(Problem.MISSED, since=since))
    for name in configured(this_host()):
        row = rows.get(name)
        waiting = StoredAnchor.objects.filter(pk__gt=row.position if row else 0, at__lt=now - MISSED_AFTER)
        if name == MAIL and row and (last := last_taken(name, row.position)):
            waiting = waiting.filter(at__gte=last.at + timedelta(hours=settings.ANCHOR_MAIL_HOURS))
        if oldest := waiting.order_by("pk").first():
            found.append(AuditFinding(Problem.NOT_TAKEN, name, oldest.at, row.error if row else ""))
    return found


def _streams(rows: dict[str, Destination], now: datetime) -> list[AuditFinding]:
    found = []
    for name in streams():
        row = rows.get(name)
        if since := _oldest_event_after(row.position if row else 0, now - BEHIND_AFTER):
            found.append(AuditFinding(Problem.STREAM_BEHIND, name, since, row.error if row else ""))
    return found


def _oldest_event_after(sequence: int, before: datetime) -> datetime | None:
    """Return when the first event after this one happened, if that is before this moment."""
    at = AuditEvent.objects.filter(sequence__gt=sequence).order_by("sequence").values_list("at", flat=True).first()
    return at if at and at < before else None
