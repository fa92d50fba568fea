"""Sends the audit to a destination outside, in order and at least once: anchors, and the events of a stream.

Each destination has one row with its position: what it has taken. The position moves after the destination has
answered. A process that dies in between sends the last batch again, and none is lost. A lease keeps two processes from
sending to the same destination at a time.
"""

from __future__ import annotations

import logging
import time
import uuid
from datetime import timedelta
from typing import Protocol

from django.conf import settings
from django.db.models import F, Q, Value
from django.db.models.functions import Coalesce, Now

from licensehub import stopping
from licensehub.audit.models import Destination
from licensehub.audit.transactions import open_transactions

logger = logging.getLogger(__name__)

LEASE = timedelta(minutes=5)
# The pause after a failure doubles from the first to the second.
FIRST_PAUSE, MAX_PAUSE = timedelta(minutes=1), timedelta(minutes=15)
MAX_ERROR = 300  # characters


class NotTaken(Exception):
    """A destination did not take what it was sent. The text is for an admin, and holds no secret."""


class Sender(Protocol):
    """The events or anchors for one destination. `name` is that of its row, e.g. `anchor.bucket`."""

    name: str

    def start(self) -> int:
        """The position of a destination that is new."""
        ...

    def start_again(self) -> int:
        """The position after the database was replaced by another one, e.g. by a restored backup."""
        ...

    def mark_of(self, position: int) -> str:
        """Return what the database has at this position now, or "". It differs in another database."""
        ...

    def send_after(self, position: int) -> int:
        """Send the next ones after this position, in order. Returns the last position that the destination has taken.

        It is the given one if there is nothing to send. Raises NotTaken.
        """
        ...


def send_pending(sender: Sender, *, seconds: float) -> None:
    """Send what the destination has not taken. A failure is noted in its row, and ends this call only."""
    refuse_in_transaction()
    if not Destination.objects.filter(name=sender.name).exists():
        start = sender.start()
        new = {"position": start, "began_after": start, "mark": sender.mark_of(start)}
        Destination.objects.get_or_create(name=sender.name, defaults=new)
    token = _take_lease(sender.name)
    if token is None:
        return
    try:
        _send_until(sender, token, time.monotonic() + seconds)
    except NotTaken as reason:
        _note_failure(sender.name, token, str(reason))
    finally:
        Destination.objects.filter(name=sender.name, token=token).update(token=None, lease_until=None)


def _send_until(sender: Sender, token: uuid.UUID, ends_at: float) -> None:
    """Send batch by batch, until all is sent, the time is over, or another process has taken over."""
    mine = Destination.objects.filter(name=sender.name, token=token)
    position, mark = mine.values_list("position", "mark").get()
    if sender.mark_of(position) != mark:
        logger.warning("The database is another one than %s knows. It is sent again from there.", sender.name)
        position = sender.start_again()
        mine.update(began_after=position)
    while not stopping.is_over(ends_at):
        taken = sender.send_after(position)
        renewed = {"position": taken, "mark": sender.mark_of(taken), "lease_until": Now() + LEASE}
        if not mine.update(**renewed, **_WORKS, sent_at=Now()) or taken == position:
            return
        position = taken


_WORKS = {"failing_since": None, "failures": 0, "next_try_at": None, "error": ""}


def _take_lease(name: str) -> uuid.UUID | None:
    token = uuid.uuid4()
    free = Q(lease_until=None) | Q(lease_until__lt=Now())
    due = Q(next_try_at=None) | Q(next_try_at__lte=Now())
    found = Destination.objects.filter(free, due, name=name).update(token=token, lease_until=Now() + LEASE)
    return token if found else None


def _note_failure(name: str, token: uuid.UUID, reason: str) -> None:
    row = Destination.objects.filter(name=name, token=token).first()
    if row is None:
        return
    pause = min(FIRST_PAUSE * 2 ** min(row.failures, 10), MAX_PAUSE)
    Destination.objects.filter(name=name, token=token).update(
        failing_since=Coalesce(F("failing_since"), Now()),
        failures=F("failures") + 1,
        next_try_at=Now() + pause,
        error=Value(reason[:MAX_ERROR]),
    )
    logger.warning("%s was not taken, and is sent again later: %s", name, reason)


def refuse_in_transaction() -> None:
    """Raise RuntimeError inside of a transaction: a destination may be slow, and uncommitted events must not leave."""
    if open_transactions() > getattr(settings, "TRANSACTIONS_OF_TESTS", 0):
        raise RuntimeError("Nothing is sent outside from inside of a transaction.")
