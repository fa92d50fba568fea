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


@check("backup")
def backup(context: Context) -> Finding:
    """Somebody has recorded a backup in the last 36 hours."""
    last = _last(Action.BACKUP_RECORDED)
    steps = (
        Step(english("Look at the script of the nightly backup: docs/operating.md has its two lines.")),
        Step(english("Record the backup at its end."), "python manage.py record_backup FILE"),
    )
    size = f", {last.data['bytes'] / 1e6:,.1f} MB" if last else ""
    value = f"{last.at:%Y-%m-%d %H:%M} UTC{size}" if last else english("none recorded")
    if _is_late(last, BACKUP_AFTER):
        title = english("No backup was recorded for 36 hours")
        return Finding(Level.LOOK, title, value, steps=steps, since=last.at if last else None)
    title = english("A backup was recorded lately") if last else english("The installation is new")
    return Finding(Level.OK, title, value)


@check("drill")
def drill(context: Context) -> Finding:
    """Somebody has restored a backup elsewhere in the last three months."""
    last = _last(Action.DRILL_RECORDED)
    steps = (
        Step(english("Restore a backup on another machine, with another INSTANCE_ID: docs/operating.md.")),
        Step(english("Record what was found."), 'python manage.py record_drill "RESULT"'),
    )
    value = f"{last.at:%Y-%m-%d}" if last else english("none recorded")
    if _is_late(last, DRILL_AFTER):
        title = english("No backup was restored for three months")
        return Finding(Level.LOOK, title, value, steps=steps, since=last.at if last else None)
    title = english("A backup was restored lately") if last else english("The installation is new")
    return Finding(Level.OK, title, value)


def _last(action: Action) -> AuditEvent | None:
    event = AuditEvent.objects.filter(action=action).order_by("-sequence").first()
    return event if event and is_believed(event) else None


def _is_late(last: AuditEvent | None, after: timedelta) -> bool:
    """Whether the last one, or the first event of this installation, is so long ago."""
    began: datetime | None = last.at if last else AuditEvent.objects.aggregate(at=Min("at"))["at"]
    return began is not None and database_now() - began > after
