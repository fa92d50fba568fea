"""The workers and schedulers of this installation, by their heartbeats. The database knows them, not the broker."""

from __future__ import annotations

import socket
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Final

from django.conf import settings
from django.db.models import Q

from integrations.models import Heartbeat, ProcessKind
from licensehub.build import version
from licensehub.database import rights
from licensehub.database.clock import database_now
from licensehub.logs.known_secrets import keys_mark

EVERY_SECONDS: Final = 15.0
# A process that did not write for so long is not alive, or does not reach the database.
SILENT_AFTER: Final = timedelta(seconds=90)
# A scheduler enqueues something every minute.
IDLE_AFTER: Final = timedelta(minutes=4)
# Two signs at the same moment by clocks that differ a little are no proof of two schedulers.
TOLERANCE: Final = timedelta(seconds=20)
KEPT: Final = timedelta(days=1)
# A worker reports how the installation is every minute.
OLD_REPORT: Final = timedelta(minutes=3)


def no_report_since() -> datetime:
    """A report that is older than this moment is not followed by another: the workers are silent."""
    return database_now() - OLD_REPORT


def this_host() -> str:
    return socket.gethostname()[:80]


def beat(kind: ProcessKind, name: str, *, queues: list[str] | None = None, **facts: Any) -> None:
    """This process lives. The first call of a process writes when it has started."""
    now = database_now()
    values = {
        "host": this_host(),
        "version": version(),
        "queues": sorted(queues or []),
        "facts": {**facts, "keys": keys_mark(), "database_user": rights.current_user()},
        "seen_at": now,
    }
    # Only these columns: a scheduler may change no other (`database.roles`).
    if not Heartbeat.objects.filter(kind=kind, name=name[:150]).update(**values):
        Heartbeat.objects.get_or_create(kind=kind, name=name[:150], defaults={**values, "started_at": now})
    if settings.HEARTBEAT_FILE:
        Path(settings.HEARTBEAT_FILE).touch()


def started(kind: ProcessKind, name: str) -> None:
    """A process of this name begins: what is known about the one before it is no longer true."""
    Heartbeat.objects.filter(kind=kind, name=name[:150]).delete()


def ended(kind: ProcessKind, name: str) -> None:
    """This process ends as it should, so nobody misses it."""
    Heartbeat.objects.filter(kind=kind, name=name[:150]).delete()


def scheduled(name: str, sent_at: datetime) -> None:
    """A worker has received a message of this scheduler. One that writes no heartbeat gets a row by this alone."""
    rows = Heartbeat.objects.filter(kind=ProcessKind.BEAT, name=name[:150])
    if rows.filter(Q(scheduled_at=None) | Q(scheduled_at__lt=sent_at)).update(scheduled_at=sent_at) == 0:
        host = name.partition("@")[2][:80]
        Heartbeat.objects.get_or_create(
            kind=ProcessKind.BEAT,
            name=name[:150],
            defaults={"host": host, "started_at": sent_at, "scheduled_at": sent_at},
        )


def forget_old() -> int:
    """Remove the rows of processes that are gone for a day. Returns how many."""
    old = database_now() - KEPT
    gone = Heartbeat.objects.filter(Q(seen_at=None) | Q(seen_at__lt=old))
    return gone.filter(Q(scheduled_at=None) | Q(scheduled_at__lt=old)).delete()[0]


@dataclass(frozen=True, slots=True)
class Processes:
    """All rows at one moment. Read once, and asked several times."""

    rows: tuple[Heartbeat, ...]
    now: datetime

    @property
    def workers(self) -> list[Heartbeat]:
        return [row for row in self.rows if row.kind == ProcessKind.WORKER and self.is_alive(row)]

    @property
    def silent_workers(self) -> list[Heartbeat]:
        """Those that did not say that they end: killed, hanging, or without a way to the database."""
        return [row for row in self.rows if row.kind == ProcessKind.WORKER and not self.is_alive(row)]

    @property
    def schedulers(self) -> list[Heartbeat]:
        """Those that are at work now: alive, or with messages of the last minutes."""
        beats = [row for row in self.rows if row.kind == ProcessKind.BEAT]
        recent = [row for row in beats if self.is_alive(row) or self.schedules(row)]
        # A scheduler that was replaced has no sign after the start of the next one.
        return [row for row in recent if not any(self._replaces(other, row) for other in recent)]

    def is_alive(self, row: Heartbeat) -> bool:
        return row.seen_at is not None and self.now - row.seen_at < SILENT_AFTER

    def schedules(self, row: Heartbeat) -> bool:
        """Whether one of its messages of the last minutes has arrived."""
        return row.scheduled_at is not None and self.now - row.scheduled_at < IDLE_AFTER

    def is_young(self, row: Heartbeat) -> bool:
        """Whether it has started so lately that nothing of it needs to have arrived."""
        return self.now - row.started_at < IDLE_AFTER

    def serving(self, queue: str) -> list[Heartbeat]:
        return [row for row in self.workers if queue in row.queues]

    def _replaces(self, new: Heartbeat, old: Heartbeat) -> bool:
        return new is not old and new.started_at > old.started_at and last_sign(old) < new.started_at + TOLERANCE


def processes() -> Processes:
    """One query."""
    return Processes(tuple(Heartbeat.objects.order_by("kind", "name")), database_now())


def last_sign(row: Heartbeat) -> datetime:
    """The last moment at which this process surely was alive."""
    return max(moment for moment in (row.started_at, row.seen_at, row.scheduled_at) if moment)
