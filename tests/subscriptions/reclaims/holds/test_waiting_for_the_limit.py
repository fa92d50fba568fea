"""Waiting for the vendor's limit can take half a minute. It comes before the intent, so much may still happen in it."""

from __future__ import annotations

import pytest

from integrations.connectors.contract import Receipt, TransientError
from integrations.connectors.miro.connector import MiroConnector
from subscriptions.approvals import decide
from subscriptions.approvals.request import request_reclaim
from subscriptions.models import Reclaim
from subscriptions.profiles import lifecycle
from subscriptions.reclaims.engine import reclaim_due
from subscriptions.rules.protections import ProtectionInput, protect_people

REALLY_WAIT = MiroConnector.await_turn
REALLY_SEND = MiroConnector.deactivate


@pytest.fixture
def approved(world, alice, bob):
    world.first_download()
    decide.approve(request_reclaim(world.candidates(1), actor=alice), actor=bob)
    return world


def patches(world) -> int:
    return sum(request["method"] == "PATCH" for request in world.miro.requests())


def test_a_switch_that_is_flipped_while_it_waits_is_seen(approved, alice, monkeypatch):
    def wait(connector: MiroConnector) -> None:
        lifecycle.stop_sending(approved.profile, actor=alice)
        REALLY_WAIT(connector)

    monkeypatch.setattr(MiroConnector, "await_turn", wait)
    assert reclaim_due(approved.profile).held == 1
    assert patches(approved) == 0
    item = Reclaim.objects.get()
    assert (item.state, item.hold_reason) == ("queued", "sending_stopped")


def test_who_is_protected_while_it_waits_keeps_the_seat(approved, alice, monkeypatch):
    """The recheck was before the protection; the next one gives the reason."""
    row = Reclaim.objects.get().subscription
    wish = ProtectionInput(reason="On parental leave", owner="Petra Meyer")

    def wait(connector: MiroConnector) -> None:
        protect_people(approved.profile, [row], wish, actor=alice)
        REALLY_WAIT(connector)

    monkeypatch.setattr(MiroConnector, "await_turn", wait)
    assert reclaim_due(approved.profile).held == 1
    assert patches(approved) == 0

    Reclaim.objects.update(not_before=None)
    assert reclaim_due(approved.profile).skipped == 1
    assert "Protected by alice" in Reclaim.objects.get().outcome and patches(approved) == 0


def test_the_control_that_waits_after_the_intent_sends(approved, alice, monkeypatch):
    def send(connector: MiroConnector, external_id: str) -> Receipt:
        lifecycle.stop_sending(approved.profile, actor=alice)
        REALLY_WAIT(connector)
        return REALLY_SEND(connector, external_id)

    monkeypatch.setattr(MiroConnector, "await_turn", lambda connector: None)
    monkeypatch.setattr(MiroConnector, "deactivate", send)
    reclaim_due(approved.profile)
    assert patches(approved) == 1


def test_a_limit_that_is_used_up_for_longer_leaves_no_doubt(approved, monkeypatch):
    def wait(connector: MiroConnector) -> None:
        raise TransientError(
            "Miro's rate limit is used up for the next 60 seconds.", retry_after=60, code="rate_limited"
        )

    monkeypatch.setattr(MiroConnector, "await_turn", wait)
    assert reclaim_due(approved.profile).held == 1
    item = Reclaim.objects.get()
    assert (item.state, item.hold_reason, item.sending_at) == ("queued", "later", None)
    assert "used up" in item.outcome


def test_words_of_an_earlier_hold_are_not_told_of_the_send(approved, monkeypatch):
    Reclaim.objects.update(outcome="Miro did not answer when its connections were tried before the send.")
    monkeypatch.setattr(MiroConnector, "deactivate", lambda connector, external_id: Receipt(status=200, active=False))
    reclaim_due(approved.profile)
    item = Reclaim.objects.get()
    assert (item.state, item.outcome) == ("in_doubt", "Read back as still active.")
