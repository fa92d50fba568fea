"""Problems of the installation, e.g. a wrong clock of a host. A process reports them, and pages and mails show them."""

from __future__ import annotations

import contextlib
import logging
import socket
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from celery.exceptions import SoftTimeLimitExceeded
from django.db import DatabaseError

from integrations.connectors.contract import english, english_plural
from integrations.models import InstallationFinding
from licensehub.broker.dropped import dropped_lately
from licensehub.database import clock
from licensehub.database.clock import database_now

# The sweep reports a clock every minute. A host that is gone reports nothing more.
CLOCK_SEEN_WITHIN: Final = timedelta(minutes=10)
CLOCK: Final = "clock:"
DATABASE_RIGHTS: Final = "database rights"
STEP: Final = "step:"

AHEAD: Final = english(
    "The clock of {host} is {seconds} seconds ahead of the clock of the database. Correct the wrong clock, e.g. with "
    "NTP. Until then, this host sends nothing."
)
BEHIND: Final = english(
    "The clock of {host} is {seconds} seconds behind the clock of the database. Correct the wrong clock, e.g. with "
    "NTP. Until then, this host sends nothing."
)
STEP_FAILED: Final = english(
    "One step of the regular work of LicenseHub fails ({step}: {error}). The other steps continue. The log of the "
    "worker has the whole error."
)

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that an operator must repair. `key` names it; `text` is English, and translated where it is shown.

    `urgent`: it is mailed, too. Others belong to the set-up, and only the overview shows them.
    """

    key: str
    text: str
    urgent: bool = True


def report(key: str, text: str) -> None:
    """A process found this. Reported again, it is the same finding, seen later."""
    now = database_now()
    InstallationFinding.objects.update_or_create(
        key=key, defaults={"text": text, "seen_at": now}, create_defaults={"text": text, "seen_at": now, "since": now}
    )


def clear(key: str) -> None:
    """A process found that this is repaired."""
    found = InstallationFinding.objects.filter(key=key)
    if found.exists():  # each minute, so nothing is written without need
        found.delete()


def run_step(name: str, step: Callable[[], object]) -> None:
    """Run one step of the regular work. Its error is logged and reported, and ends none of the others."""
    key = f"{STEP}{name}"[:80]
    try:
        step()
    except SoftTimeLimitExceeded:
        raise  # it is the task that takes too long
    except Exception as error:
        logger.exception("The step %s failed", name)
        # Without the database, the log has to do.
        with contextlib.suppress(DatabaseError):
            report(key, STEP_FAILED.format(step=name, error=type(error).__name__))
        return
    clear(key)


def report_clock() -> None:
    """Report the clock of this host if it is too far from the one of the database."""
    host, skew = socket.gethostname()[:60], clock.skew()
    if not clock.is_too_far():
        clear(f"{CLOCK}{host}")
        return
    text = AHEAD if skew > timedelta() else BEHIND
    report(f"{CLOCK}{host}", text.format(host=host, seconds=round(abs(skew).total_seconds())))


def findings() -> list[Finding]:
    """All that is wrong now."""
    rows = InstallationFinding.objects.order_by("key")
    old = database_now() - CLOCK_SEEN_WITHIN
    now = [row for row in rows if not (row.key.startswith(CLOCK) and row.seen_at < old)]
    found = [Finding(row.key, row.text, urgent=row.key != DATABASE_RIGHTS) for row in now]
    if count := dropped_lately():
        found.append(Finding("broker", _dropped(count)))
    return found


def _dropped(count: int) -> str:
    return english_plural(
        "{count} message in the broker was not made by LicenseHub, and was dropped in the last 7 days. Somebody else "
        "can write to the broker, or a process has another BROKER_KEY.",
        "{count} messages in the broker were not made by LicenseHub, and were dropped in the last 7 days. Somebody "
        "else can write to the broker, or a process has another BROKER_KEY.",
        count,
    ).format(count=count)
