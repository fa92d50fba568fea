"""Backups of the database, and whether one was ever restored, as somebody recorded them."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

from django.db.models import Min

from integrations.connectors.contract import english
from licensehub.audit.actions import Action
from licensehub.audit.chain.signature import is_believed
from licensehub.audit.models import AuditEvent
from licensehub.database.clock import database_now
from licensehub.operations.doctor.findings import Context, Finding, Level, Step, check

# A backup of each night, and half a day for a late one. A drill of each quarter.
BACKUP_AFTER: Final = timedelta(hours=36)
DRILL_AFTER: Final = timedelta(days=92)
MEGABYTE: Final = 1_000_000


@check("backup")
def backup(context: Context) -> Finding:
    """Somebody has recorded a backup in the last 36 hours, and it is at least half as large as the one before."""
    last, before = _last_two(Action.BACKUP_RECORDED)
    steps = (
        Step(english("Look at the script of the nightly backup: docs/operating.md has its two lines.")),
        Step(english("Record the backup at its end."), "python manage.py record_backup FILE"),
    )
    value = english("none recorded")
    if last:
        megabytes = max(0.1, round(last.data["bytes"] / MEGABYTE, 1))
        value = english("{when}, {size} MB").format(when=f"{last.at:%Y-%m-%d %H:%M} UTC", size=f"{megabytes:,}")
    if last and before and last.data["bytes"] * 2 < before.data["bytes"]:
        title = english("The last backup is less than half as large as the one before")
        return Finding(Level.LOOK, title, value, steps=steps, since=last.at)
    if not last:
        # A new installation has data to lose from its first day on.
        return Finding(Level.LOOK, english("No backup was ever recorded"), value, steps=steps)
    titles = english("No backup was recorded for 36 hours"), english("A backup was recorded lately")
    return _finding(last, BACKUP_AFTER, titles, value, steps)


@check("drill")
def drill(context: Context) -> Finding:
    """Somebody has restored a backup elsewhere in the last three months."""
    last, _before = _last_two(Action.DRILL_RECORDED)
    steps = (
        Step(english("Restore a backup on another machine, with another INSTANCE_ID: docs/operating.md.")),
        Step(english("Record what was found."), 'python manage.py record_drill "RESULT"'),
    )
    value = f"{last.at:%Y-%m-%d}" if last else english("none recorded")
    titles = english("No backup was restored for three months"), english("A backup was restored lately")
    return _finding(last, DRILL_AFTER, titles, value, steps)


def _last_two(action: Action) -> tuple[AuditEvent | None, AuditEvent | None]:
    """The two newest events, without those that somebody changed in the database."""
    events = AuditEvent.objects.filter(action=action).order_by("-sequence")[:2]
    last, before, *_ = [*filter(is_believed, events), None, None]
    return last, before


def _finding(
    last: AuditEvent | None, after: timedelta, titles: tuple[str, str], value: str, steps: tuple[Step, ...]
) -> Finding:
    """Late, if the last one, or the first event of this installation, is so long ago. `titles`: for late and well."""
    began: datetime | None = last.at if last else AuditEvent.objects.aggregate(at=Min("at"))["at"]
    if began is not None and database_now() - began > after:
        return Finding(Level.LOOK, titles[0], value, steps=steps, since=last.at if last else None)
    if last:
        return Finding(Level.OK, titles[1], value)
    return Finding(Level.NONE, english("The installation is less than three months old"), value)
