"""Events that are sent outside arrive in order and at least once, whatever dies, and one process sends at a time."""

from __future__ import annotations

import threading
from datetime import timedelta

import pytest
from django.db import connection
from django.utils import timezone

from licensehub.audit.models import Destination
from licensehub.audit.outside import NotTaken, send_pending


class Numbers:
    """A sender of the numbers 1 to `last`, two in each batch. `marks` says what the database has at a position."""

    name = "stream.test"

    def __init__(self, last: int) -> None:
        self.last = last
        self.arrived: list[int] = []
        self.marks: dict[int, str] = {}
        self.before = lambda batch: None

    def start(self) -> int:
        return 0

    def start_again(self) -> int:
        return 0

    def mark_of(self, position: int) -> str:
        return self.marks.get(position, f"mark of {position}")

    def send_after(self, position: int) -> int:
        batch = list(range(position + 1, min(position + 2, self.last) + 1))
        if not batch:
            return position
        self.before(batch)
        self.arrived += batch
        return batch[-1]


class Killed(BaseException):
    pass


def row() -> Destination:
    return Destination.objects.get(name="stream.test")


def test_a_process_that_dies_between_send_and_position_sends_again(db, monkeypatch):
    numbers = Numbers(7)

    def die(self):
        raise Killed

    send_pending(numbers, seconds=0)
    with monkeypatch.context() as killing:
        # After the second batch has arrived, and before its position is written.
        killing.setattr(numbers, "mark_of", lambda position: die(None) if position == 4 else f"mark of {position}")
        with pytest.raises(Killed):
            send_pending(numbers, seconds=9)
    assert (numbers.arrived, row().position) == ([1, 2, 3, 4], 2)
    send_pending(numbers, seconds=9)
    assert numbers.arrived == [1, 2, 3, 4, 3, 4, 5, 6, 7]
    assert (row().position, row().token, row().lease_until) == (7, None, None)


def test_a_killed_process_is_replaced_when_its_lease_ends(db):
    numbers = Numbers(2)
    send_pending(numbers, seconds=0)
    Destination.objects.update(token="0" * 32, lease_until=timezone.now() + timedelta(minutes=1))
    send_pending(numbers, seconds=9)
    assert numbers.arrived == [], "another process has the lease"
    Destination.objects.update(lease_until=timezone.now() - timedelta(seconds=1))
    send_pending(numbers, seconds=9)
    assert numbers.arrived == [1, 2]


def test_a_failure_waits_longer_each_time_and_loses_nothing(db):
    numbers = Numbers(3)

    def refuse(batch):
        if 3 in batch:
            raise NotTaken("The receiver is full. " + "x" * 400)

    numbers.before = refuse
    pauses = []
    for _ in range(7):
        Destination.objects.update(next_try_at=timezone.now() - timedelta(seconds=1))
        send_pending(numbers, seconds=9)
        pauses.append(round((row().next_try_at - timezone.now()).total_seconds() / 60))
    assert pauses == [1, 2, 4, 8, 15, 15, 15]
    assert (row().position, row().failures, len(row().error)) == (2, 7, 300)
    since = row().failing_since
    assert since < timezone.now()
    send_pending(numbers, seconds=9)
    assert row().failures == 7, "it is not due"
    numbers.before = lambda batch: None
    Destination.objects.update(next_try_at=None)
    send_pending(numbers, seconds=9)
    assert numbers.arrived == [1, 2, 3]
    assert (row().failures, row().failing_since, row().error) == (0, None, "")


def test_another_database_is_sent_from_its_beginning(db):
    """The number of the last event is the same in the restored backup, and the event is another one."""
    numbers = Numbers(4)
    send_pending(numbers, seconds=9)
    send_pending(numbers, seconds=9)
    assert numbers.arrived == [1, 2, 3, 4]
    numbers.marks[4] = "the mark of another event"
    send_pending(numbers, seconds=9)
    assert numbers.arrived == [1, 2, 3, 4, 1, 2, 3, 4]
    assert row().mark == "the mark of another event"


def test_two_processes_never_send_at_the_same_time(real_transactions):
    inside, most, lock = [], [], threading.Lock()
    senders = [Numbers(40) for _ in range(3)]

    def enter(batch):
        with lock:
            inside.append(1)
            most.append(len(inside))
        threading.Event().wait(0.01)
        with lock:
            inside.pop()

    def run(sender):
        sender.before = enter
        send_pending(sender, seconds=9)
        connection.close()

    send_pending(Numbers(0), seconds=0)
    threads = [threading.Thread(target=run, args=(sender,)) for sender in senders]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert max(most) == 1
    assert sorted(number for sender in senders for number in sender.arrived) == list(range(1, 41))
