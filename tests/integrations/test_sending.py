"""The switch of all sending: each step is taken once, and only from the state that it leaves."""

from __future__ import annotations

import pytest

from integrations import sending
from integrations.sending import NotSwitched
from tests.support.fixtures import actions

pytestmark = pytest.mark.django_db


def test_what_is_not_held_is_not_released():
    with pytest.raises(NotSwitched, match="not held"):
        sending.release(actor=None, checked="Compared with the vendor, all is well.", renew=True)
    assert actions() == []


def test_it_is_held_once():
    assert [sending.hold("A restored backup."), sending.hold("Another reason.")] == [True, False]
    assert sending.control().held_why == "A restored backup."
    assert actions() == ["sending.held"]


def test_it_is_stopped_and_allowed_once():
    sending.stop_all(actor=None, reason="A wrong rule.")
    with pytest.raises(NotSwitched, match="stopped already"):
        sending.stop_all(actor=None, reason="Another reason.")
    assert sending.control().reason == "A wrong rule."

    sending.allow_all(actor=None)
    with pytest.raises(NotSwitched, match="allowed already"):
        sending.allow_all(actor=None)
    assert actions() == ["sending.stopped", "sending.allowed"]
