"""The pages after a send in doubt, and Miro's own log of the person beside them."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.test import Client

from subscriptions import sweep
from subscriptions.approvals import decide
from subscriptions.approvals.request import request_reclaim, send_again
from subscriptions.models import Reclaim, ReclaimRequest, Subscription
from subscriptions.reclaims.engine import reclaim_due
from subscriptions.reconciliation import person_events
from tests.support.people.organization import page, said
from tests.support.web.pages import text_of

EVIL = '<img src=x onerror="alert(1)">'


@pytest.fixture
def doubt(world, alice, bob, monkeypatch, request) -> Reclaim:
    """Sent, not done by Miro, and read twice as still active."""
    monkeypatch.setattr("subscriptions.reclaims.outcomes.READ_BACK_DELAY", timedelta(0))

    def make() -> None:
        world.first_download()
        decide.approve(request_reclaim(world.candidates(1), actor=alice), actor=bob)
        world.miro.fault("error_before", match={"method": "PATCH"})
        reclaim_due(world.profile)
        sweep.read_back_doubts(world.profile)

    world.cache.scene(request, make, world.sandbox)
    return Reclaim.objects.get()


@pytest.fixture
def candidate_page(doubt) -> str:
    return page("removalcandidate", "change", doubt.removal.candidate_id)


def again(doubt: Reclaim) -> str:
    return page("removalcandidate", "send_again", doubt.removal.candidate_id)


def log_of(doubt: Reclaim) -> str:
    return page("reclaim", "vendor_log", doubt.pk)


def ask_miro(client: Client, doubt: Reclaim) -> str:
    return text_of(client.get(log_of(doubt), headers={"HX-Request": "true"}))


def test_leave_or_send_again(doubt, candidate_page, alice, carol, as_user):
    shown = text_of(as_user(alice).get(candidate_page))
    assert "Send again" in shown and "Leave alone" in shown and ">Resume<" not in shown

    reading = text_of(as_user(carol).get(candidate_page))
    assert "Request to send again" not in reading and "decides whether to send again" in reading
    assert as_user(carol).post(again(doubt), {"reason": "Mine"}).status_code == 403


def test_send_again_makes_a_request_of_its_own(doubt, alice, bob, as_user):
    client = as_user(alice)
    assert "few words" in said(client.post(again(doubt), {"reason": " "}))
    assert "Another person has to approve it" in said(client.post(again(doubt), {"reason": "I looked in Miro"}))

    made = ReclaimRequest.objects.get(repeats=doubt)
    shown = text_of(as_user(bob).get(page("reclaimrequest", "change", made.pk)))
    assert "Repeats a send in doubt" in shown and doubt.outcome[:40] in shown and "I looked in Miro" in shown
    assert log_of(doubt) in shown and page("reclaim", "change", doubt.pk) in shown
    assert "Nothing was changed" in said(client.post(again(doubt), {"reason": "Once more"}))
    assert ReclaimRequest.objects.filter(repeats=doubt).count() == 1


def test_a_request_that_repeats_nothing_asks_for_no_log(doubt, alice, as_user):
    first = doubt.removal.request

    assert "vendor-log" not in text_of(as_user(alice).get(page("reclaimrequest", "change", first.pk)))


def test_no_page_waits_for_miro(world, doubt, candidate_page, alice, as_user):
    send_again(doubt.removal.candidate, actor=alice, reason="Again")
    made = ReclaimRequest.objects.get(repeats=doubt)
    asked = len(world.miro.requests())

    for address in (candidate_page, page("reclaimrequest", "change", made.pk), page("reclaim", "change", doubt.pk)):
        assert as_user(alice).get(address).status_code == 200

    assert len(world.miro.requests()) == asked


def test_miros_log_of_this_person(world, doubt, alice, as_user):
    world.miro.change(doubt.subscription.external_id, active=False)
    world.miro.change(doubt.subscription.external_id, active=True)
    other = Subscription.objects.exclude(pk=doubt.subscription_id).filter(active=True).first()
    world.miro.change(other.external_id, active=False)

    piece = ask_miro(as_user(alice), doubt)

    assert piece.count("user_deactivated") == piece.count("user_activated") == 1, "of nobody else"
    assert "<html" not in piece and other.email not in piece
    whole = text_of(as_user(alice).get(log_of(doubt)))
    assert "user_deactivated" in whole and "<html" in whole, "without JavaScript a page of its own"


def test_nothing_happened_in_miro(doubt, alice, as_user):
    assert "No events for this person in this time." in ask_miro(as_user(alice), doubt)


def test_without_the_scope_it_is_not_checked(world, doubt, alice, as_user):
    world.miro.set_toggles(scopes=["boards:read", "organizations:read"])

    shown = ask_miro(as_user(alice), doubt)

    assert "Not checked" in shown and "auditlogs:read" in shown


def test_without_the_capability_it_is_not_checked(doubt, alice, as_user, monkeypatch):
    monkeypatch.setattr(doubt.profile.connector, "capabilities", frozenset())

    assert "Not checked: there is no log" in ask_miro(as_user(alice), doubt)


def test_a_miro_that_is_away_is_a_sentence(world, doubt, alice, as_user):
    world.miro.set_toggles(token_valid=False)

    assert "Not checked, the log could not be read" in ask_miro(as_user(alice), doubt)


def test_a_log_that_is_too_long_says_how_far_it_was_read(world, doubt, monkeypatch):
    monkeypatch.setattr(person_events, "MAX_EVENTS", 1)
    world.miro.change(doubt.subscription.external_id, active=False)
    world.miro.change(doubt.subscription.external_id, active=True)

    log = person_events.log_around(doubt)

    assert [event.event for event in log.events] == ["user_deactivated"] and log.until == log.events[0].at


def test_names_from_miro_are_escaped(doubt, alice, as_user, monkeypatch):
    from integrations.connectors.contract import VendorEvent
    from integrations.connectors.miro.connector import MiroConnector

    event = VendorEvent(doubt.queued_at, EVIL, EVIL, EVIL, doubt.subscription.external_id, EVIL, EVIL)
    monkeypatch.setattr(MiroConnector, "events", lambda self, **span: iter([event]))

    shown = ask_miro(as_user(alice), doubt)

    assert "<img" not in shown and shown.count("&lt;img") == 5


def test_a_stranger_does_not_ask(doubt, dave, as_user):
    assert as_user(dave).get(log_of(doubt)).status_code == 403
