"""Count the messages that a worker dropped, and report them: an event of the audit, and a finding for admins.

Anybody who can write to the broker can send millions, so at most one event is written in ten minutes.
"""

from __future__ import annotations

import logging
import time
from collections import Counter
from datetime import timedelta
from typing import Final

from django.db import Error, connection, transaction

from licensehub.audit.actions import Action
from licensehub.audit.log import Row, record_rows
from licensehub.audit.models import AuditEvent
from licensehub.database.clock import database_now

REPORT_SECONDS: Final = 600.0
# How long the overview and the mails speak of it.
SHOWN_FOR: Final = timedelta(days=7)
TARGET: Final = "licensehub.broker"

log = logging.getLogger(__name__)


class _Counted:
    """The messages that this process has dropped since its last report."""

    reasons: Counter[str] = Counter()
    reported_at: float | None = None


def note(reason: str) -> None:
    """Count one dropped message. `reason` is `unreadable`, `unsigned` or `old`."""
    _Counted.reasons[reason] += 1
    reported = _Counted.reported_at
    if reported is None or time.monotonic() - reported >= REPORT_SECONDS:
        report()


def report() -> None:
    """Write down what was counted. A database that is away is asked again after ten minutes."""
    if not _Counted.reasons:
        return
    _Counted.reported_at = time.monotonic()
    counted = {"count": _Counted.reasons.total(), **_Counted.reasons}
    log.error("Messages of the broker were dropped, since they are not from LicenseHub, or too old: %s", counted)
    try:
        with transaction.atomic():
            rows = [Row(TARGET, 1, "The broker", counted)]
            record_rows(Action.MESSAGES_DROPPED, actor=None, rows=rows)
    except Error:
        log.exception("The dropped messages could not be reported.")
        return
    finally:
        if not connection.in_atomic_block:
            # The processes of the pool are forked from this one, and must not inherit the connection.
            connection.close()
    _Counted.reasons = Counter()


def dropped_lately() -> int:
    """Return how many messages of others were dropped in the last days.

    Old ones are not counted: after an outage, they are our own.
    """
    events = AuditEvent.objects.filter(action=Action.MESSAGES_DROPPED, at__gte=database_now() - SHOWN_FOR)
    return sum(int(data.get("count", 0)) - int(data.get("old", 0)) for data in events.values_list("data", flat=True))
