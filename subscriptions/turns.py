"""The turn of a profile: how long one task works on it before the worker serves another profile.

A task works until its work is done or its time is over. While other profiles wait for a worker, its time is one slot;
then what is left goes to the end of the queue. So a large organization never keeps a small one waiting for its end.

A turn also ends when the vendor's limit is used up while there is work for other profiles: no worker sleeps then. What
is left is enqueued again for the moment when the limit has room.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable

from licensehub import stopping

# Each change of turns costs the vendor about two calls: the connection is opened anew, and one page is read again.
SLOT_SECONDS = 15.0
# A call waits at most this long (seconds) for the vendor's limit. The worker can be left only between two calls.
MAX_WAIT_IN_A_CALL = 1.0


class Turn:
    """The time that this task may work on a profile.

    `others_wait` (for a worker) is asked once for each slot. The first slot begins when the work can be continued later
    for the first time, so each turn does some work, however short a slot is. `others_work` is whether there is work for
    other profiles, now or soon: it is asked when this one would have to wait for the vendor.
    """

    def __init__(
        self,
        seconds: float = math.inf,
        *,
        others_wait: Callable[[], bool] | None = None,
        others_work: Callable[[], bool] | None = None,
    ) -> None:
        self._ends_at = time.monotonic() + seconds
        self._others_wait = others_wait
        self._others_work = others_work
        self._slot_ends_at: float | None = None

    @property
    def seconds_left(self) -> float:
        """None are left if the worker is to stop."""
        return 0.0 if stopping.is_requested() else self._ends_at - time.monotonic()

    def is_over(self) -> bool:
        """Whether to begin nothing more. Call it where another task can continue the work."""
        now = time.monotonic()
        slot_is_over = self._slot_ends_at is not None and now >= self._slot_ends_at
        if self._slot_ends_at is None or slot_is_over:
            self._slot_ends_at = now + SLOT_SECONDS
        if slot_is_over and self._others_wait and self._others_wait():
            self._ends_at = -math.inf
        return self.seconds_left <= 0

    def ends_before(self, wait: float) -> bool:
        """Whether to leave the worker to others, and not to wait so many seconds for the vendor."""
        return wait > MAX_WAIT_IN_A_CALL and self._others_work is not None and self._others_work()
