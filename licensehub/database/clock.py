"""The time of the database: the one clock for caps, leases, validity, expiry and slots.

The clock of a host may be wrong, by hours where its time zone was set by hand. Two hosts would then disagree about
which lease is over and what was sent within 24 hours. So the database is asked, and each process remembers how far the
clock of its host is away. It asks again after some seconds, and at once when the clock of the host jumps.
"""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from django.db import connection
from django.utils import timezone

ASK_AGAIN_SECONDS: Final = 30.0
# The clock of a host is corrected by milliseconds all the time; more than this is a jump, or a sleep of the machine.
JUMP_SECONDS: Final = 0.5
# From here on, an admin must set the clock, and nothing is sent from this host.
MAX_SKEW: Final = timedelta(seconds=30)

_lock = threading.Lock()


@dataclass(frozen=True, slots=True)
class _Measured:
    """The seconds by which the host's clock is ahead of the database, and when both were read."""

    ahead: timedelta
    monotonic: float
    wall: float

    def holds(self) -> bool:
        passed = time.monotonic() - self.monotonic
        jumped = abs(time.time() - self.wall - passed) > JUMP_SECONDS
        return passed < ASK_AGAIN_SECONDS and not jumped


class _Last:
    measured: _Measured | None = None


def database_now() -> datetime:
    """The time of the database. It costs a query every 30 seconds; SQLite has the clock of its host."""
    return timezone.now() - skew()


def skew() -> timedelta:
    """Return how far the clock of this host is ahead of the database; negative if it is behind."""
    measured = _Last.measured
    if measured is None or not measured.holds():
        with _lock:
            measured = _Last.measured = _measure()
    return measured.ahead


def known_skew() -> timedelta:
    """The last measured `skew`, without a query; 0 before the first one."""
    return _Last.measured.ahead if _Last.measured else timedelta()


def is_too_far() -> bool:
    """Whether the clock of this host is wrong, or the one of the database."""
    return abs(skew()) > MAX_SKEW


def forget() -> None:
    """Ask the database again at the next call."""
    _Last.measured = None


def _measure() -> _Measured:
    ahead = timedelta()
    if connection.vendor == "postgresql":
        before = timezone.now()
        with connection.cursor() as cursor:
            cursor.execute("SELECT clock_timestamp()")
            (theirs,) = cursor.fetchone()
        after = timezone.now()
        ahead = before + (after - before) / 2 - theirs
    return _Measured(ahead, time.monotonic(), time.time())
