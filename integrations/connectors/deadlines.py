"""One thread that waits for the deadlines of all calls: a timer of its own for each would be a thread for each."""

from __future__ import annotations

import heapq
import itertools
import os
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from threading import Condition, Thread


@dataclass(slots=True)
class Alarm:
    """Rings once, unless it was canceled before."""

    ring: Callable[[], None] | None

    def cancel(self) -> None:
        self.ring = None


@dataclass
class Deadlines:
    """Safe between threads; the thread starts with the first alarm, and anew in a forked process."""

    _waiting: list[tuple[float, int, Alarm]] = field(default_factory=list)
    _changed: Condition = field(default_factory=Condition)
    _thread: Thread | None = None
    _numbers: itertools.count[int] = field(default_factory=itertools.count)

    def call_after(self, seconds: float, ring: Callable[[], None]) -> Alarm:
        """`ring` is called from the other thread, `seconds` from now, unless the alarm is canceled before."""
        alarm = Alarm(ring)
        at = time.monotonic() + seconds
        with self._changed:
            self._forget_canceled()
            heapq.heappush(self._waiting, (at, next(self._numbers), alarm))
            if self._thread is None:
                self._thread = Thread(target=self._wait, name="deadlines", daemon=True)
                self._thread.start()
            elif self._waiting[0][0] == at:
                self._changed.notify()
        return alarm

    def _forget_canceled(self) -> None:
        while self._waiting and self._waiting[0][2].ring is None:
            heapq.heappop(self._waiting)

    def _wait(self) -> None:
        while True:
            if ring := self._next():
                ring()

    def _next(self) -> Callable[[], None] | None:
        """Wait until the first deadline, or until there is an earlier one; what is to be called now, if anything."""
        with self._changed:
            self._forget_canceled()
            left = self._waiting[0][0] - time.monotonic() if self._waiting else None
            if left is None or left > 0:
                self._changed.wait(left)
                return None
            return heapq.heappop(self._waiting)[2].ring


deadlines = Deadlines()


def _begin_anew() -> None:
    """The thread did not come along into the forked process, and the lock may have been held."""
    deadlines.__init__()  # type: ignore[misc]


os.register_at_fork(after_in_child=_begin_anew)
