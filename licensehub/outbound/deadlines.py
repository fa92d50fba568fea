"""A deadline for one exchange, which reaches down to the socket.

requests and urllib3 limit each wait for bytes, not the sum of the waits: a server that sends one byte every few seconds
would hold a caller for hours, even while it sends the headers. Here a timer shuts the socket at the deadline.
"""

from __future__ import annotations

import contextlib
import heapq
import itertools
import os
import socket
import time
from collections.abc import Callable
from contextvars import ContextVar
from dataclasses import dataclass, field
from threading import Condition, Lock, Thread
from typing import Self


@dataclass(slots=True)
class Timer:
    """Calls `fire` once, unless it is canceled before."""

    fire: Callable[[], None] | None

    def cancel(self) -> None:
        self.fire = None


@dataclass
class TimerThread:
    """One thread for the timers of all calls. It starts with the first timer. Safe between threads."""

    _waiting: list[tuple[float, int, Timer]] = field(default_factory=list)
    _changed: Condition = field(default_factory=Condition)
    _thread: Thread | None = None
    _numbers: itertools.count[int] = field(default_factory=itertools.count)

    def call_after(self, seconds: float, fire: Callable[[], None]) -> Timer:
        """`fire` is called in the timer thread in `seconds`, unless the timer is canceled before."""
        timer = Timer(fire)
        at = time.monotonic() + seconds
        with self._changed:
            self._drop_canceled()
            heapq.heappush(self._waiting, (at, next(self._numbers), timer))
            if self._thread is None:
                self._thread = Thread(target=self._run, name="deadlines", daemon=True)
                self._thread.start()
            elif self._waiting[0][0] == at:
                self._changed.notify()
        return timer

    def _drop_canceled(self) -> None:
        while self._waiting and self._waiting[0][2].fire is None:
            heapq.heappop(self._waiting)

    def _run(self) -> None:
        while True:
            if fire := self._next():
                fire()

    def _next(self) -> Callable[[], None] | None:
        """Wait until the first timer is due or an earlier one is added. Returns the function to call now, or None."""
        with self._changed:
            self._drop_canceled()
            left = self._waiting[0][0] - time.monotonic() if self._waiting else None
            if left is None or left > 0:
                self._changed.wait(left)
                return None
            return heapq.heappop(self._waiting)[2].fire


timers = TimerThread()


def _restart_timers() -> None:
    """A forked process has no timer thread, and the lock may have been held during the fork."""
    timers.__init__()  # type: ignore[misc]  # a new lock and no thread, in the same object


os.register_at_fork(after_in_child=_restart_timers)


class Deadline:
    """Shuts the socket that its thread uses inside the `with` block when `seconds` are over.

    `connected` says whether anything can have been sent, `expired` whether the socket was shut.
    """

    def __init__(self, seconds: float) -> None:
        self.connected = False
        self.expired = False
        self._seconds = max(seconds, 0.0)
        self._ends_at = 0.0
        self._socket: socket.socket | None = None
        self._handle: socket.socket | None = None
        self._lock = Lock()

    def __enter__(self) -> Self:
        self._token = _current.set(self)
        self._ends_at = time.monotonic() + self._seconds
        self._timer = timers.call_after(self._seconds, self.expire)
        return self

    def __exit__(self, *_: object) -> None:
        self._timer.cancel()
        self._close_handle()
        with self._lock:
            self._socket = None  # its next exchange has a deadline of its own, and this timer may be firing now
        _current.reset(self._token)

    def left(self) -> float:
        """Seconds until the deadline."""
        return self._ends_at - time.monotonic()

    def watch_connecting(self, sock: socket.socket) -> None:
        """Set the socket to shut at the deadline. It reaches the server or a proxy; nothing was sent to the server.

        TLS takes the socket over, so the deadline shuts it by a handle of its own.
        """
        self._close_handle()
        with self._lock:
            # `dup` of a TLS socket is not implemented.
            self._socket = self._handle = socket.fromfd(sock.fileno(), sock.family, sock.type)
            if self.expired:
                self._shut()

    def _close_handle(self) -> None:
        with self._lock:
            if self._handle is not None:
                self._handle.close()
                self._handle = None

    def watch(self, sock: socket.socket | None) -> None:
        """Set the socket to shut at the deadline. From now on, something may have been sent."""
        with self._lock:
            self.connected = True
            self._socket = sock
            if self.expired:
                self._shut()

    def expire(self) -> None:
        with self._lock:
            self.expired = True
            self._shut()

    def _shut(self) -> None:
        if self._socket is None:
            return
        # The socket may be closed already. The plain method: the method of a TLS socket would remove the TLS layer
        # while the other thread reads through it.
        with contextlib.suppress(OSError):
            socket.socket.shutdown(self._socket, socket.SHUT_RDWR)


_current: ContextVar[Deadline | None] = ContextVar("_current", default=None)


def current() -> Deadline | None:
    """The deadline of the exchange that this thread is in."""
    return _current.get()
