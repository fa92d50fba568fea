"""The flag that asks this worker to stop. Long work reads it at the places where another process can continue.

The work between two such places is always finished: one page, one send with its outcome, one mail. The flag is in
memory that a worker shares with the processes that it forks: SIGTERM reaches the first process only.
"""

from __future__ import annotations

import mmap
import time
from typing import Final

# The time that a worker has after SIGTERM. Then it ends at once, as if it were killed: a call may hang for longer.
MAX_STOP_SECONDS: Final = 12.0
_POLL_SECONDS: Final = 0.25
_shared = mmap.mmap(-1, 1)


def request() -> None:
    """Ask this process, and those that it has forked, to stop."""
    _shared[0] = 1


def is_requested() -> bool:
    return _shared[0] == 1


def is_over(ends_at: float) -> bool:
    """Whether to begin nothing more: the time (of the monotonic clock) is over, or the worker is to stop."""
    return is_requested() or time.monotonic() >= ends_at


class Stopped(Exception):
    """The work was broken off, and nothing of it was stored. It can begin again."""


def check() -> None:
    """Raise Stopped if the worker is to stop. Call it in work that has no part to continue at."""
    if is_requested():
        raise Stopped


def sleep(seconds: float) -> bool:
    """Sleep for so many seconds. Returns False, and returns earlier, if the worker is to stop."""
    ends_at = time.monotonic() + seconds
    while not is_over(ends_at):
        time.sleep(max(0.0, min(_POLL_SECONDS, ends_at - time.monotonic())))
    return not is_requested()
