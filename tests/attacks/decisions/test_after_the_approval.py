"""Somebody with the database changes rows after the approval. Nothing reaches the vendor that was not approved."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from django.db import connection
from django.utils import timezone

from integrations import sending
from integrations.models import IntegrationProfile
from licensehub.audit.models import AuditEvent
from licensehub.audit.triggers import create, drop
from subscriptions import sweep
from subscriptions.approvals import decide
from subscriptions.approvals.request import request_reclaim
from subscriptions.errors import NotActionable, Refused
from subscriptions.models import Answer, Notification, Reclaim, RequestedRemoval
from subscriptions.notices.answers import answer
from subscriptions.notifications.recipients import update
from subscriptions.profiles import lifecycle
from subscriptions.reclaims.engine import reclaim_due
from subscriptions.reclaims.restores import restore
from tests.support.attacks import attack
from tests.support.fixtures import World

LATER = "2099-01-01 00:00:00+00:00"


@pytest.fixture
def approved(world, alice, bob) -> World:
    """Two people are approved and wait to be sent."""
    world.first_download()
    decide.approve(request_reclaim(world.candidates(2), actor=alice), actor=bob)
    return world


def first() -> Reclaim:
    return Reclaim.objects.order_by("pk").first()


def keep(*, erase: bool) -> None:
    """The first person says Keep before the approval is sent; the item was claimed in this moment."""
    Reclaim.objects.filter(pk=first().pk).update(state="claimed")
    answer(RequestedRemoval.objects.get(pk=first().removal_id), Answer.KEEP)
    Reclaim.objects.filter(pk=first().pk).update(state="queued")
    if erase:
        attack("UPDATE subscriptions_requestedremoval SET answer = '', answered_at = NULL WHERE answer = 'keep'")


def make_keep_early() -> None:
    keep(erase=False)
    attack("UPDATE subscriptions_requestedremoval SET answered_at = '2020-01-01 00:00:00+00:00' WHERE answer = 'keep'")


REQUEST = "UPDATE subscriptions_reclaimrequest SET {}"
# What is changed -> the attack, a part of the outcome, and how many of the two people it concerns.
ATTACKS: dict[str, tuple[Callable[[], object], str, int]] = {
    "request rejected": (lambda: attack(REQUEST.format("state = 'rejected'")), "its row in the database says", 2),
    "request open again": (lambda: attack(REQUEST.format("state = 'open'")), "its row in the database says", 2),
    "validity prolonged": (
        lambda: attack(REQUEST.format(f"valid_until = '{LATER}'")),
        "does not match its signature",
        2,
    ),
    "decision moved": (lambda: attack(REQUEST.format(f"decided_at = '{LATER}'")), "different ends of the validity", 2),
    "Keep erased": (lambda: keep(erase=True), "does not have the answer", 1),
    "Keep made early": (make_keep_early, "does not have the answer", 1),
    "evidence emptied": (
        lambda: attack("UPDATE subscriptions_requestedremoval SET evidence = '{}' WHERE id = %s", first().removal_id),
        "does not match its signature",
        1,
    ),
    "person dropped": (
        lambda: attack(
            "UPDATE subscriptions_requestedremoval SET dropped_at = %s WHERE id = %s", LATER, first().removal_id
        ),
        "says “dropped”",
        1,
    ),
    "candidate closed": (
        lambda: attack(
            "UPDATE subscriptions_removalcandidate SET state = 'closed_skipped' WHERE id = %s",
            first().removal.candidate_id,
        ),
        "no longer waits for a reclaim",
        1,
    ),
}


@pytest.mark.parametrize("name", ATTACKS)
@pytest.mark.parametrize("swept", [False, True], ids=["sent", "swept first"])
def test_what_was_not_approved_ends_as_tampered(name, swept, approved):
    if swept and name in ("validity prolonged", "decision moved", "Keep erased", "Keep made early", "evidence emptied"):
        pytest.skip("Only a send finds it.")
    act, outcome, concerned = ATTACKS[name]
    act()
    if swept:
        assert sweep.end_tampered() == concerned
    for _ in range(3):
        reclaim_due(approved.profile)
    tampered = list(Reclaim.objects.filter(state="tampered").select_related("subscription"))
    assert len(tampered) >= 1
    assert all(outcome in item.outcome and item.finished_at for item in tampered)
    sent = approved.deactivated_by_us()
    assert not {item.subscription.external_id for item in tampered} & set(sent)
    assert len(sent) <= 2 - concerned
    # The profile is held, the reason is recorded, and those who may release it get a mail.
    profile = IntegrationProfile.objects.get()
    assert profile.held_why == tampered[0].outcome
    assert AuditEvent.objects.filter(action="profile.sending_held").count() == 1
    update()
    assert Notification.objects.filter(kind="tampered", profile=profile).exists()
    # Nothing stays claimed, and the sweep ends what the hold has kept from being looked at.
    sweep.repair()
    left = Reclaim.objects.exclude(state="tampered")
    assert {item.state for item in left} <= {"queued", "done"}


@pytest.fixture
def reactivated(approved) -> World:
    reclaim_due(approved.profile)
    assert len(approved.deactivated_by_us()) == 2
    return approved


def test_a_finished_item_is_not_sent_again(reactivated):
    """The people are let in again by a human, and the finished items become queued again in the database."""
    for item in Reclaim.objects.select_related("subscription"):
        reactivated.miro.change(item.subscription.external_id, active=True)
    attack(
        "UPDATE subscriptions_reclaim SET state = 'queued', finished_at = NULL, token = NULL, read_back = '',"
        " sending_at = NULL"
    )
    attack("UPDATE subscriptions_removalcandidate SET state = 'awaiting_revocation', close_reason = ''")
    attack("UPDATE subscriptions_subscription SET active = %s, cooldown_until = NULL", True)
    reclaim_due(reactivated.profile)
    sweep.repair()
    assert len(reactivated.deactivated_by_us()) == 2
    item = first()
    assert (item.state, "was already handled: reclaim.done" in item.outcome) == ("tampered", True)


def test_an_inserted_item_is_not_sent(approved):
    """The row is deleted and made again under another number, with all that was approved."""
    columns = ", ".join(field.column for field in Reclaim._meta.concrete_fields if field.name != "id")
    item = first()
    attack(f"CREATE TEMPORARY TABLE copied AS SELECT {columns} FROM subscriptions_reclaim")  # noqa: S608 - names of our own columns
    attack("DELETE FROM subscriptions_reclaim WHERE id = %s", item.pk)
    insert = f"INSERT INTO subscriptions_reclaim (id, {columns}) SELECT 987654, {columns} FROM copied"  # noqa: S608 - names of our own columns
    attack(f"{insert} WHERE removal_id = %s", item.removal_id)
    attack("DROP TABLE copied")
    reclaim_due(approved.profile)
    assert item.subscription.external_id not in approved.deactivated_by_us()
    assert "LicenseHub never queued this item" in Reclaim.objects.get(pk=987654).outcome


def test_an_item_that_was_given_another_person_is_not_sent(approved):
    """All that was signed for the other person fits. Only the event of the queue says whose item this is."""
    item, other = Reclaim.objects.order_by("pk")
    attack("DELETE FROM subscriptions_reclaim WHERE id = %s", other.pk)
    moved = (other.removal_id, other.subscription_id, other.signature, item.pk)
    statement = "UPDATE subscriptions_reclaim SET removal_id = %s, subscription_id = %s, signature = %s WHERE id = %s"
    attack(statement, *moved)
    reclaim_due(approved.profile)
    assert approved.deactivated_by_us() == []
    assert "was queued for somebody else" in Reclaim.objects.get(pk=item.pk).outcome


def test_an_answer_that_was_moved_to_another_request_still_counts(approved):
    keep(erase=True)
    rewrite("UPDATE audit_auditevent SET data = '{\"request\": \"R-9999\"}' WHERE action = 'request.person_answered'")
    reclaim_due(approved.profile)
    assert approved.deactivated_by_us() == []
    assert "does not match its signature" in first().outcome


def test_a_switch_whose_event_says_something_else_is_on(approved):
    reclaim_off(approved.profile)
    rewrite("UPDATE audit_auditevent SET data = '{\"x\": 1}' WHERE action = 'profile.changed'")
    reclaim_due(approved.profile)
    assert approved.deactivated_by_us() == []


def rewrite(statement: str) -> None:
    triggers(False)
    assert attack(statement)
    triggers(True)


def stop(profile: IntegrationProfile) -> None:
    lifecycle.stop_sending(profile, actor=None)
    attack("UPDATE integrations_integrationprofile SET sending_stopped = %s", False)


def stop_all(profile: IntegrationProfile) -> None:
    sending.stop_all(actor=None, reason="An audit")
    attack("UPDATE integrations_sendingcontrol SET stopped = %s, reason = ''", False)


def pause(profile: IntegrationProfile) -> None:
    lifecycle.pause(profile, actor=None)
    attack("UPDATE integrations_integrationprofile SET state = 'published'")


def reclaim_off(profile: IntegrationProfile) -> None:
    lifecycle.switch_reclaim(profile, enabled=False, actor=None)
    attack("UPDATE integrations_integrationprofile SET reclaim_enabled = %s", True)


def hold(profile: IntegrationProfile) -> None:
    sending.hold("Perhaps a restored backup.")
    attack("UPDATE integrations_sendingcontrol SET held_at = NULL")


SWITCHES = {
    "sending stopped for the profile": (stop, "sending_stopped"),
    "all sending stopped": (stop_all, "sending_stopped"),
    "profile paused": (pause, "paused"),
    "reclaim off": (reclaim_off, "reclaim_off"),
    "held after a backup": (hold, "backup"),
}


@pytest.mark.parametrize("name", SWITCHES)
def test_a_switch_that_is_off_only_in_its_row_is_on(name, approved):
    act, reason = SWITCHES[name]
    act(approved.profile)
    reclaim_due(approved.profile)
    assert approved.deactivated_by_us() == []
    assert set(Reclaim.objects.values_list("state", "hold_reason")) == {("queued", reason)}


def test_a_switch_whose_event_was_changed_is_on(approved):
    """The event becomes another one: then no older event says that sending is allowed."""
    lifecycle.stop_sending(approved.profile, actor=None)
    attack("UPDATE integrations_integrationprofile SET sending_stopped = %s", False)
    triggers(False)
    attack("UPDATE audit_auditevent SET action = 'profile.sending_allowed' WHERE action = 'profile.sending_stopped'")
    triggers(True)
    reclaim_due(approved.profile)
    assert approved.deactivated_by_us() == []


def triggers(on: bool) -> None:
    (create if on else drop)(connection)


def test_a_switch_that_is_on_only_in_its_row_stays_on(approved):
    attack("UPDATE integrations_integrationprofile SET sending_stopped = %s", True)
    reclaim_due(approved.profile)
    assert approved.deactivated_by_us() == []
    lifecycle.allow_sending(approved.profile, actor=None)
    reclaim_due(approved.profile)
    assert len(approved.deactivated_by_us()) == 2


def test_stop_and_allow_on_the_page_end_the_difference(approved):
    stop(approved.profile)
    lifecycle.stop_sending(approved.profile, actor=None)
    lifecycle.allow_sending(approved.profile, actor=None)
    reclaim_due(approved.profile)
    assert len(approved.deactivated_by_us()) == 2


def test_a_held_profile_is_released_by_somebody_who_has_checked(approved, alice):
    ATTACKS["person dropped"][0]()
    reclaim_due(approved.profile)
    attack("UPDATE integrations_integrationprofile SET held_at = NULL")
    reclaim_due(approved.profile)
    assert approved.deactivated_by_us() == []
    with pytest.raises(NotActionable):
        lifecycle.release_hold(approved.profile, actor=alice, checked="A colleague has tried something.")
    attack("UPDATE integrations_integrationprofile SET held_at = %s", timezone.now())
    with pytest.raises(Refused):
        lifecycle.release_hold(approved.profile, actor=alice, checked="ok")
    lifecycle.release_hold(approved.profile, actor=alice, checked="A colleague has tried something.")
    Reclaim.objects.update(not_before=None)
    reclaim_due(approved.profile)
    assert len(approved.deactivated_by_us()) == 1


def test_a_restore_with_a_changed_reclaim_is_not_sent(reactivated, alice):
    taken = first()
    item = restore(taken, actor=alice, reason="Needed again")
    attack("UPDATE subscriptions_reclaimrequest SET state = 'canceled' WHERE direction = 'reactivate'")
    reclaim_due(reactivated.profile)
    assert taken.subscription.external_id in reactivated.inactive()
    item.refresh_from_db()
    assert item.state == "tampered"


def test_the_control_each_item_that_nobody_touched_is_sent(approved, alice):
    """A restore of one person needs no second person."""
    before = approved.inactive()
    reclaim_due(approved.profile)
    assert len(approved.deactivated_by_us()) == 2
    restore(first(), actor=alice, reason="Needed again")
    reclaim_due(approved.profile)
    assert len(approved.inactive() - before) == 1
    assert Reclaim.objects.filter(state="tampered").count() == 0
    assert IntegrationProfile.objects.get().held_at is None
