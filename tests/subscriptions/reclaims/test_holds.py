"""Both connections are tried before anything is sent, and every night."""

from __future__ import annotations

import pytest

from integrations.connectors.http import DEFAULT_LIMITS
from integrations.models import Connection, IntegrationProfile
from integrations.tasks import validate_nightly
from subscriptions.approvals import decide
from subscriptions.approvals.request import request_reclaim
from subscriptions.models import Reclaim
from subscriptions.reclaims import engine
from subscriptions.reclaims.engine import reclaim_due


@pytest.fixture
def approved(world, alice, bob):
    world.first_download()
    decide.approve(request_reclaim(world.candidates(2), actor=alice), actor=bob)
    return world


def patches(world) -> int:
    return sum(request["method"] == "PATCH" for request in world.miro.requests())


BROKEN = [
    ({"foreign_scim": True}, "scim"),
    ({"scim_token_valid": False}, "scim"),
    ({"patch_supported": False}, "scim"),
    ({"token_valid": False}, "rest"),
    ({"scopes": ["boards:read"]}, "rest"),
    ({"installer_role": "member"}, "rest"),
]


@pytest.mark.parametrize(("switches", "slot"), BROKEN)
def test_nothing_is_sent_through_a_connection_that_does_not_fit(approved, switches, slot):
    approved.miro.set_toggles(**switches)
    assert reclaim_due(approved.profile).held == 2
    assert patches(approved) == 0
    assert {(item.state, item.hold_reason) for item in Reclaim.objects.all()} == {("queued", "connection")}
    assert Connection.objects.get(slot=slot).state == "error"


def test_the_control_without_the_try_sends(approved, monkeypatch):
    approved.miro.set_toggles(foreign_scim=True)
    monkeypatch.setattr("subscriptions.reclaims.engine.unfit_connections", lambda profile, direction: None)
    reclaim_due(approved.profile)
    assert patches(approved) > 0


def test_what_was_held_is_sent_when_it_works_again(approved):
    approved.miro.set_toggles(scim_token_valid=False)
    reclaim_due(approved.profile)
    approved.miro.set_toggles(scim_token_valid=True)
    validate_nightly()
    assert reclaim_due(approved.profile).reclaimed == 2


def test_every_night(world):
    world.miro.set_toggles(foreign_scim=True)
    validate_nightly()
    found = IntegrationProfile.objects.get()
    assert (found.validated_by, found.validated_at is not None) == ("", True)
    assert "error" in {finding["level"] for finding in found.findings}
    assert Connection.objects.get(slot="scim").state == "error"


def test_a_miro_that_is_away_breaks_no_connection(world):
    world.sandbox.stop()
    validate_nightly()
    assert {row.state for row in Connection.objects.all()} <= {"untested", "working"}


def test_what_miro_did_not_answer_in_the_try_is_asked_again_before_anything_is_sent(approved):
    """Nothing is known to be wrong, but nobody knows either whether the SCIM token is for this organization."""
    approved.miro.fault("error_before", match={"path": "/Users/", "method": "GET"}, times=DEFAULT_LIMITS.tries)
    assert reclaim_due(approved.profile).held == 2
    assert patches(approved) == 0
    assert {(item.state, item.hold_reason) for item in Reclaim.objects.all()} == {("queued", "later")}
    Reclaim.objects.update(not_before=None)
    assert reclaim_due(approved.profile).reclaimed == 2


def test_nobody_is_claimed_when_sending_is_stopped_while_the_connections_are_tried(approved, monkeypatch):
    """The calls that try the connections may take minutes: the switches are read again after them."""
    claimed = []
    claim = engine.claim

    def stop_meanwhile(profile, direction):
        if direction == "deactivate":
            IntegrationProfile.objects.update(sending_stopped=True)

    monkeypatch.setattr(engine, "unfit_connections", stop_meanwhile)
    monkeypatch.setattr(
        engine, "claim", lambda *args, **kwargs: claimed.append(kwargs["direction"]) or claim(*args, **kwargs)
    )
    assert reclaim_due(approved.profile).held == 2
    assert "deactivate" not in claimed
    assert {item.hold_reason for item in Reclaim.objects.all()} == {"sending_stopped"}
