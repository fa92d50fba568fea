"""Both connections are tried before anything is sent, and every night."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.utils import timezone

from integrations.connections.validation import HOURLY_FOR, MAX_RECOVERIES, profiles_to_validate_again
from integrations.connectors.http import DEFAULT_LIMITS
from integrations.models import Connection, IntegrationProfile
from integrations.tasks import validate_again, validate_nightly
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
    monkeypatch.setattr("subscriptions.reclaims.engine.try_connections", lambda profile, direction: None)
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
    assert (found.validated_by, found.validated_at is not None) == (None, True)
    assert "error" in {finding["level"] for finding in found.findings}
    assert Connection.objects.get(slot="scim").state == "error"


def test_a_miro_that_is_away_breaks_no_connection(world):
    world.sandbox.stop()
    validate_nightly()
    assert {row.state for row in Connection.objects.all()} <= {"untested", "working"}


NO_DATA = [
    ("html", {}),
    ("truncated", {}),
    ("cut", {}),
    ("other_json", {}),
    ("other_json", {"match": {"path": "oauth-token"}}),
    ("other_json", {"match": {"path": "/Users"}}),
    ("other_json", {"match": {"path": "/ServiceProviderConfig"}}),
]


@pytest.mark.parametrize(("kind", "which"), NO_DATA)
def test_an_answer_that_is_no_data_breaks_no_connection_and_is_tried_again(approved, kind, which):
    """A proxy or a cut answer says nothing about the credentials, so nobody has to act before the next try."""
    approved.miro.fault(kind, times=-1, **which)
    assert reclaim_due(approved.profile).held == 2
    assert patches(approved) == 0
    assert {(item.state, item.hold_reason) for item in Reclaim.objects.all()} == {("queued", "later")}
    assert "error" not in {row.state for row in Connection.objects.all()}
    approved.miro.clear_faults()
    Reclaim.objects.update(not_before=None)
    assert reclaim_due(approved.profile).reclaimed == 2


def test_a_connection_without_an_answer_is_tried_every_hour_until_it_has_one(approved):
    approved.miro.fault("other_json", times=-1, match={"path": "/scim/"})
    reclaim_due(approved.profile)
    assert {row.slot: row.unanswered_since is not None for row in Connection.objects.all()} == {
        "rest": False,
        "scim": True,
    }
    since = Connection.objects.get(slot="scim").unanswered_since
    validate_again()
    assert Connection.objects.get(slot="scim").unanswered_since == since
    approved.miro.clear_faults()
    validate_again()
    assert Connection.objects.get(slot="scim").unanswered_since is None
    assert profiles_to_validate_again() == []


def test_a_refusal_is_an_answer(approved):
    approved.miro.fault("other_json", times=-1, match={"path": "/scim/"})
    reclaim_due(approved.profile)
    approved.miro.clear_faults()
    approved.miro.set_toggles(scim_token_valid=False)
    validate_again()
    scim = Connection.objects.get(slot="scim")
    assert (scim.state, scim.unanswered_since) == ("error", None)


def test_a_refusal_that_ends_by_itself_needs_nobody(approved):
    """E.g. a proxy that refused for some minutes with a status that means a dead token."""
    approved.miro.fault("error_before", status=403, times=-1)
    reclaim_due(approved.profile)
    assert {row.state for row in Connection.objects.all()} == {"error"}
    validate_again()
    assert {row.state for row in Connection.objects.all()} == {"error"}
    approved.miro.clear_faults()
    validate_again()
    assert {row.state for row in Connection.objects.all()} == {"working"}
    assert reclaim_due(approved.profile).reclaimed == 2


def test_a_connection_that_fails_again_and_again_is_left_to_a_person(approved):
    """Each check passes, but writes are refused: trying that every hour would send a mail every hour."""
    approved.miro.fault("error_before", status=403, times=-1, match={"method": "PATCH"})
    for _ in range(MAX_RECOVERIES):
        reclaim_due(approved.profile)
        assert Connection.objects.get(slot="scim").state == "error"
        validate_again()
        Reclaim.objects.update(not_before=None)
    reclaim_due(approved.profile)
    validate_again()
    assert Connection.objects.get(slot="scim").state == "error"
    validate_nightly()
    assert Connection.objects.get(slot="scim").state == "working"


def test_a_connection_that_is_dead_for_days_is_tried_every_night_only(approved, time_machine):
    approved.miro.set_toggles(scim_token_valid=False)
    reclaim_due(approved.profile)
    approved.miro.fault("other_json", times=-1, match={"path": "/v2/orgs"})
    validate_again()
    assert Connection.objects.get(slot="rest").unanswered_since
    time_machine.move_to(timezone.now() + HOURLY_FOR - timedelta(hours=1))
    assert profiles_to_validate_again() == [approved.profile]
    time_machine.move_to(timezone.now() + timedelta(hours=2))
    assert profiles_to_validate_again() == []
    approved.miro.clear_faults()
    approved.miro.set_toggles(scim_token_valid=True)
    validate_nightly()
    assert {row.state for row in Connection.objects.all()} == {"working"}


def test_only_profiles_in_use_are_tried_again(approved):
    approved.miro.set_toggles(scim_token_valid=False)
    reclaim_due(approved.profile)
    assert profiles_to_validate_again() == [approved.profile]
    IntegrationProfile.objects.update(state="archived")
    assert profiles_to_validate_again() == []


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

    monkeypatch.setattr(engine, "try_connections", stop_meanwhile)
    monkeypatch.setattr(
        engine, "claim", lambda *args, **kwargs: claimed.append(kwargs["direction"]) or claim(*args, **kwargs)
    )
    assert reclaim_due(approved.profile).held == 2
    assert "deactivate" not in claimed
    assert {item.hold_reason for item in Reclaim.objects.all()} == {"sending_stopped"}
