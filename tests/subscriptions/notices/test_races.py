"""An answer and a send in the same moment: whichever comes first, the other sees it."""

from __future__ import annotations

import threading
from types import SimpleNamespace

import pytest
from django.db import connection

from subscriptions import sweep
from subscriptions.approvals import decide
from subscriptions.candidates import locks
from subscriptions.errors import NotActionable
from subscriptions.models import Answer, Reclaim, RequestedRemoval
from subscriptions.notices import answers
from subscriptions.reclaims import engine
from tests.support.people.notices import Asking, people


def in_thread(act) -> threading.Thread:
    def run() -> None:
        try:
            act()
        except NotActionable:
            pass
        finally:
            connection.close()

    thread = threading.Thread(target=run)
    thread.start()
    return thread


@pytest.fixture
def claimed(real_transactions, asking: Asking, bob) -> Reclaim:
    [person] = people(asking.asked(1))
    asking.says(person, "release")
    sweep.repair()
    decide.approve(person.request, actor=bob)
    [item] = engine.claim(asking.world.profile)
    return item


def keep_while_it_is_sent(item: Reclaim, monkeypatch, *, sending_waits: bool) -> tuple[str, str]:
    """The answer has looked, and not yet written, when the intent is to be committed. Returns answer and state."""
    note, looked, go_on = answers._note, threading.Event(), threading.Event()

    def slowly(person, said):
        looked.set()
        go_on.wait(30)
        note(person, said)

    monkeypatch.setattr(answers, "_note", slowly)
    person = RequestedRemoval.objects.select_related("request").get(pk=item.removal_id)
    answering = in_thread(lambda: answers.answer(person, Answer.KEEP))
    assert looked.wait(30)
    sending = in_thread(lambda: engine.commit_intent(item, rolling=1000))
    sending.join(0.5 if sending_waits else 30)
    go_on.set()
    for thread in (answering, sending):
        thread.join(30)
    return RequestedRemoval.objects.get().answer, Reclaim.objects.get().state


def test_a_keep_that_has_begun_stops_the_send(claimed, monkeypatch):
    assert keep_while_it_is_sent(claimed, monkeypatch, sending_waits=True) == ("keep", "claimed")


def test_the_control_without_the_lock_somebody_keeps_and_is_sent(claimed, monkeypatch):
    if connection.vendor == "sqlite":
        pytest.skip("SQLite has one writer at a time, lock or not")
    unlocked = SimpleNamespace(lock_profile=lambda pk: None, lock_candidate=locks.lock_candidate)
    monkeypatch.setattr(answers, "locks", unlocked)
    assert engine.locks is locks, "only the answer goes without it"

    assert keep_while_it_is_sent(claimed, monkeypatch, sending_waits=False) == ("keep", "sending")


def test_a_keep_after_the_intent_comes_too_late(claimed):
    assert engine.commit_intent(claimed, rolling=1000)
    person = RequestedRemoval.objects.select_related("request").get()

    with pytest.raises(NotActionable):
        answers.answer(person, Answer.KEEP)
    assert RequestedRemoval.objects.get().answer == "release"
