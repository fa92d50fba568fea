"""The timers of the deadlines: one thread for all calls, and one of its own in each forked process."""

from __future__ import annotations

import socket
import subprocess
import sys
import threading
import time

from licensehub.outbound.deadlines import Deadline, TimerThread

FORKED = """
import os, sys, time
from licensehub.outbound.deadlines import timers
timers.call_after(60, print)
child = os.fork()
if child == 0:
    timers.call_after(0.01, lambda: os._exit(0))
    time.sleep(5)
    os._exit(1)
sys.exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""


def test_a_timer_that_ends_before_the_others_is_called_in_time() -> None:
    timers, called = TimerThread(), threading.Event()
    timers.call_after(60, called.clear)
    time.sleep(0.1)  # so the thread waits for the minute
    timers.call_after(0.02, called.set)
    assert called.wait(30)


def test_a_canceled_timer_is_not_called() -> None:
    timers, called, after_it = TimerThread(), threading.Event(), threading.Event()
    with timers._changed:  # the thread of the timers waits for it, also if this one is slow
        canceled = timers.call_after(0, called.set)
        timers.call_after(0, after_it.set)
        canceled.cancel()
    assert after_it.wait(30)
    assert not called.is_set()


def test_a_deadline_that_comes_after_its_exchange_does_not_shut_the_socket_of_the_next_one() -> None:
    """The timer may have been taken by its thread just before the exchange canceled it."""
    ours, other = socket.socketpair()
    with ours, other:
        with Deadline(60) as late:
            late.watch(ours)
        late.expire()
        ours.sendall(b"next")
        assert other.recv(4) == b"next"


def test_a_forked_process_has_timers_of_its_own() -> None:
    """A worker is forked after its parent has made calls. The parent's timer thread does not exist in it."""
    assert subprocess.run([sys.executable, "-W", "ignore", "-c", FORKED], timeout=30).returncode == 0
