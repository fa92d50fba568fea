"""Seats given back: by one person or by two, on real HTTP; ledger, audit and the sandbox's truth agree."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.utils import timezone

from integrations import sending
from integrations.credentials import credential_store
from integrations.models import IntegrationProfile
from licensehub.audit.models import AuditEvent
from subscriptions import sweep
from subscriptions.approvals import closing, decide, undo
from subscriptions.approvals.request import request_reclaim
from subscriptions.errors import ConcernsYou, NotActionable, OwnRequest, Refused
from subscriptions.models import Reclaim, ReclaimRequest, RequestedRemoval, Subscription
from subscriptions.profiles import lifecycle
from subscriptions.reclaims import outcomes, restores
from subscriptions.reclaims.engine import reclaim_due
from tests.support.fixtures import actions
from tests.support.people.restoring import REASON, activated_by_us, activations, id_of, reclaimed


def test_restored_and_verified(world, reclaimed_person, alice):
    queued = restores.restore(reclaimed_person, actor=alice, reason=REASON)

    tally = reclaim_due(world.profile)

    assert (tally.restored, tally.reclaimed) == (1, 0)
    assert activated_by_us(world) == [id_of(reclaimed_person)]
    assert id_of(reclaimed_person) not in world.inactive()
    queued.refresh_from_db()
    assert (queued.state, queued.http_status, queued.read_back) == ("done", 200, "active")
    assert queued.outcome == "Active again. License is Full, as before. Role is Member, as before."
    row = queued.subscription
    assert (row.active, row.verdict, row.cooldown_reason) == (True, "cooling_down", "restored")
    request = queued.removal.request
    assert (request.direction, request.state, request.requested_by) == ("reactivate", "approved", alice)
    assert (request.decided_by, request.reason, queued.removal.restores) == (None, REASON, reclaimed_person)
    told = actions()
    assert told[-4:] == ["restore.requested", "restore.queued", "restore.sending", "restore.done"]
    asked = AuditEvent.objects.get(action="restore.requested")
    assert (asked.actor_name, asked.data["people"], asked.data["reason"]) == ("alice", 1, REASON)
    assert queued.removal.candidate.state == "closed_complete", "its candidate stays as the reclaim left it"
    assert reclaim_due(world.profile).restored == 0


def test_another_license_and_role_than_before_are_said(world, reclaimed_person, alice):
    world.miro.change(id_of(reclaimed_person), license="free", role="organization_internal_admin")

    queued = restores.restore(reclaimed_person, actor=alice, reason=REASON)
    reclaim_due(world.profile)

    queued.refresh_from_db()
    assert queued.outcome == "Active again. License is Free now, was Full. Role is Company admin now, was Member."
    assert queued.subscription.license == "free", "what was seen is a fact like any other"


def test_who_cannot_be_looked_up_afterwards_is_restored_all_the_same(world, reclaimed_person, alice, monkeypatch):
    from integrations.connectors.contract import TransientError

    def away(item, connector):
        connector.people = lambda people: (_ for _ in ()).throw(TransientError("Miro is away."))
        return read_restored_seat(item, connector)

    read_restored_seat = outcomes.read_restored_seat
    monkeypatch.setattr(outcomes, "read_restored_seat", away)
    queued = restores.restore(reclaimed_person, actor=alice, reason=REASON)

    assert reclaim_due(world.profile).restored == 1

    queued.refresh_from_db()
    assert queued.outcome == "Active again. License and role were not compared: Miro is away."


def test_refused_by_miro(world, reclaimed_person, alice):
    queued = restores.restore(reclaimed_person, actor=alice, reason=REASON)
    world.miro.fault("error_before", status=409, match={"method": "PATCH"})

    assert reclaim_due(world.profile).refused == 1

    queued.refresh_from_db()
    assert (queued.state, queued.http_status) == ("failed", 409)
    assert queued.outcome.startswith("Miro refused: ")
    assert activated_by_us(world) == []
    assert reclaimed_person.removal.candidate.state == "closed_complete"
    assert actions()[-1] == "restore.failed"
    restores.restore(reclaimed_person, actor=alice, reason="Somebody made room")
    assert reclaim_due(world.profile).restored == 1, "after a refusal it can be tried anew"


@pytest.mark.parametrize("fault", ["error_after", "truncated", "cut"])
def test_lost_answer_of_a_reactivation_that_was_done(world, reclaimed_person, alice, fault):
    queued = restores.restore(reclaimed_person, actor=alice, reason=REASON)
    world.miro.fault(fault, match={"method": "PATCH"}, **({"after": True} if fault == "cut" else {}))

    assert reclaim_due(world.profile).restored == 1

    queued.refresh_from_db()
    assert queued.state == "done"
    assert queued.outcome.startswith("The answer was lost; read back as active. Active again. License is Full")
    assert activated_by_us(world) == [id_of(reclaimed_person)]
    assert actions()[-3:] == ["restore.sending", "restore.in_doubt", "restore.done"]


def test_lost_answer_of_a_reactivation_that_was_not_done(world, reclaimed_person, alice, read_again_at_once):
    queued = restores.restore(reclaimed_person, actor=alice, reason=REASON)
    world.miro.fault("error_before", match={"method": "PATCH"})

    assert reclaim_due(world.profile).in_doubt == 1
    with pytest.raises(NotActionable, match="under way already"):
        restores.restore(reclaimed_person, actor=alice, reason="Quick")
    assert sweep.read_back_doubts(world.profile) == 1
    reclaim_due(world.profile)

    queued.refresh_from_db()
    assert (queued.state, queued.read_back) == ("in_doubt", "inactive")
    assert "restore again if it is still wanted" in queued.outcome
    assert activations(world) == 1, "never a blind second write"
    assert id_of(reclaimed_person) in world.inactive()
    restores.restore(reclaimed_person, actor=alice, reason="Still wanted")
    assert reclaim_due(world.profile).restored == 1


def test_somebody_else_let_the_person_in_already(world, reclaimed_person, alice):
    queued = restores.restore(reclaimed_person, actor=alice, reason=REASON)
    world.miro.change(id_of(reclaimed_person), active=True)

    assert reclaim_due(world.profile).skipped == 1

    queued.refresh_from_db()
    assert (queued.state, queued.outcome) == ("skipped", "Not sent: this person is active at Miro already.")
    assert activated_by_us(world) == []
    assert queued.subscription.cooldown_reason == "somebody reactivated this person at the vendor"
    with pytest.raises(NotActionable, match="nothing to restore"):
        restores.restore(reclaimed_person, actor=alice, reason=REASON)


def test_whom_a_human_deactivates_after_the_restore_stays_so(world, reclaimed_person, alice):
    restores.restore(reclaimed_person, actor=alice, reason=REASON)
    reclaim_due(world.profile)
    world.miro.change(id_of(reclaimed_person), active=False)
    world.download()

    with pytest.raises(NotActionable, match="restored already"):
        restores.restore(reclaimed_person, actor=alice, reason=REASON)

    reclaim_due(world.profile)
    sweep.repair()
    assert id_of(reclaimed_person) in world.inactive()
    assert activated_by_us(world) == [id_of(reclaimed_person)]


SWITCHES = {
    "sending stopped for the profile": lambda profile, actor: lifecycle.stop_sending(profile, actor=actor),
    "all sending stopped": lambda profile, actor: sending.stop_all(actor=actor, reason="Something is wrong"),
    "paused": lambda profile, actor: lifecycle.pause(profile, actor=actor),
    "reclaim off": lambda profile, actor: IntegrationProfile.objects.update(reclaim_enabled=False),
}


@pytest.mark.parametrize("switch", SWITCHES)
@pytest.mark.parametrize("people", ["one", "several"])
def test_what_stops_reclaims_stops_no_restore(world, reclaimed_person, alice, bob, switch, people):
    SWITCHES[switch](world.profile, bob)

    if people == "one":
        restores.restore(reclaimed_person, actor=alice, reason=REASON)
    else:
        decide.approve(restores.request_restore(Reclaim.objects.all(), actor=alice, reason=REASON), actor=bob)

    assert reclaim_due(IntegrationProfile.objects.get()).restored == 1
    assert activated_by_us(world) == [id_of(reclaimed_person)]


def test_a_connection_in_error_holds_it_and_loses_nothing(world, reclaimed_person, alice):
    world.miro.set_toggles(scim_token_valid=False)
    queued = restores.restore(reclaimed_person, actor=alice, reason=REASON)

    assert reclaim_due(world.profile).held == 1

    queued.refresh_from_db()
    assert (queued.state, queued.hold_reason) == ("queued", "connection")
    world.miro.set_toggles(scim_token_valid=True)
    credential_store.set_credentials(
        world.profile, "scim", {"token": world.miro.connection()["scim_token"]}, actor=None
    )
    assert reclaim_due(world.profile).restored == 1


def test_a_restored_backup_holds_it(world, reclaimed_person, alice):
    sending.hold("The audit is behind its head.")
    restores.restore(reclaimed_person, actor=alice, reason=REASON)

    assert reclaim_due(world.profile).held == 1
    assert activated_by_us(world) == []


@pytest.mark.parametrize("state", ["draft", "archived"])
def test_no_restore_for_a_profile_that_sends_nothing(world, reclaimed_person, alice, bob, state):
    open_request = restores.request_restore(Reclaim.objects.all(), actor=alice, reason=REASON)
    IntegrationProfile.objects.update(state=state)

    with pytest.raises(Refused, match=state):
        decide.approve(open_request, actor=bob)
    ReclaimRequest.objects.filter(pk=open_request.pk).update(state="canceled")
    with pytest.raises(Refused, match=state):
        restores.restore(reclaimed_person, actor=alice, reason=REASON)
    with pytest.raises(Refused, match=state):
        restores.request_restore(Reclaim.objects.all(), actor=alice, reason=REASON)
    assert "restore.queued" not in actions()


def test_several_with_a_second_person(world, alice, bob):
    items = reclaimed(world, alice, bob, 3)
    request = restores.request_restore(Reclaim.objects.all(), actor=alice, reason=REASON)
    assert reclaim_due(world.profile).restored == 0, "not before somebody approves"

    assert decide.approve(request, actor=bob, comment="Fine") == 3
    assert reclaim_due(world.profile).restored == 3

    assert sorted(activated_by_us(world)) == sorted(id_of(item) for item in items)
    assert actions().count("restore.requested") == 1
    assert actions().count("restore.queued") == actions().count("restore.done") == 3
    assert world.inactive().isdisjoint(id_of(item) for item in items)


def test_nobody_decides_on_their_own_restore(world, alice, bob):
    reclaimed(world, alice, bob, 2)
    request = restores.request_restore(Reclaim.objects.all(), actor=alice, reason=REASON)

    with pytest.raises(OwnRequest):
        decide.approve(request, actor=alice)
    with pytest.raises(OwnRequest):
        decide.reject(request, actor=alice, comment="no")

    assert not Reclaim.objects.filter(direction="reactivate").exists()


def test_nobody_restores_their_own_seat(world, reclaimed_person, alice, bob):
    for user in (alice, bob):
        user.email = reclaimed_person.removal.evidence["email"].upper()
        user.save()

    with pytest.raises(ConcernsYou):
        restores.restore(reclaimed_person, actor=alice, reason=REASON)
    with pytest.raises(ConcernsYou):
        restores.request_restore(Reclaim.objects.all(), actor=alice, reason=REASON)

    assert not ReclaimRequest.objects.filter(direction="reactivate").exists()


def test_the_rejection_of_a_restore_is_taken_back_for_those_who_can_still_be_restored(world, alice, bob):
    items = reclaimed(world, alice, bob, 3)
    request = restores.request_restore(Reclaim.objects.all(), actor=alice, reason=REASON)
    dropped = request.removals.get(restores=items[1])
    closing.drop(dropped, actor=bob, reason="They left")
    decide.reject(request, actor=bob, comment="They left")
    restores.restore(items[0], actor=alice, reason=REASON)
    with pytest.raises(NotActionable, match="asks for some of these people"):
        undo.take_back_rejection(request, actor=bob)
    Reclaim.objects.filter(direction="reactivate").update(state="failed")
    ReclaimRequest.objects.exclude(pk=request.pk).update(state="expired")
    Subscription.objects.filter(pk=items[0].subscription_id).update(active=True)

    assert undo.take_back_rejection(request, actor=bob) == 1
    undo.take_back_in(RequestedRemoval.objects.select_related("request").get(pk=dropped.pk), actor=bob, decides=True)

    assert {row.restores for row in request.removals.not_dropped()} == {items[1], items[2]}
    assert decide.approve(ReclaimRequest.objects.get(pk=request.pk), actor=bob) == 2
    assert {item.removal.candidate.state for item in items} == {"closed_complete"}


def test_rejected_dropped_withdrawn_and_expired_leave_everything_as_it_is(world, alice, bob):
    items = reclaimed(world, alice, bob, 2)
    before = set(Subscription.objects.values_list("pk", "cooldown_until", "evaluation__verdict"))

    def ask() -> ReclaimRequest:
        return restores.request_restore(Reclaim.objects.all(), actor=alice, reason=REASON)

    assert decide.reject(ask(), actor=bob, comment="They left") == 2
    closing.cancel(ask(), actor=alice)
    expiring = ask()
    ReclaimRequest.objects.filter(pk=expiring.pk).update(expires_at=timezone.now() - timedelta(seconds=1))
    assert closing.expire_requests() == 1
    dropped = ask()
    for removal in dropped.removals.all():
        closing.drop(removal, actor=bob, reason="They left")
    with pytest.raises(NotActionable, match="Nobody is left"):
        decide.approve(dropped, actor=bob)

    assert reclaim_due(world.profile).as_dict() == dict.fromkeys(reclaim_due(world.profile).as_dict(), 0)
    assert {id_of(item) for item in items} <= world.inactive()
    assert {item.removal.candidate.state for item in items} == {"closed_complete"}
    assert set(Subscription.objects.values_list("pk", "cooldown_until", "evaluation__verdict")) == before
    assert activated_by_us(world) == []


def test_a_restore_ends_when_all_its_people_are_active_again(world, alice, bob):
    items = reclaimed(world, alice, bob, 2)
    request = restores.request_restore(Reclaim.objects.all(), actor=alice, reason=REASON)
    for item, state in zip(items, ("open", "empty"), strict=True):
        world.miro.change(id_of(item), active=True)
        world.download()
        sweep.repair()
        request.refresh_from_db()
        assert request.state == state

    assert set(request.removals.values_list("drop_reason", flat=True)) == {"Active again"}
    assert activated_by_us(world) == []


def test_only_what_took_a_seat_is_given_back(world, alice, bob):
    world.first_download()
    request = request_reclaim(world.candidates(2), actor=alice)
    decide.approve(request, actor=bob)

    for item in Reclaim.objects.all():
        with pytest.raises(NotActionable, match="Only a verified reclaim"):
            restores.restore(item, actor=alice, reason=REASON)
    with pytest.raises(NotActionable, match="None of these"):
        restores.request_restore(Reclaim.objects.all(), actor=alice, reason=REASON)


def reclaimed_again(item: Reclaim) -> Reclaim:
    """A later reclaim of the same person."""
    request = ReclaimRequest.objects.get(pk=item.removal.request_id)
    removal = RequestedRemoval.objects.get(pk=item.removal_id)
    request.pk = removal.pk = None
    request.save()
    removal.request = request
    removal.save()
    later = Reclaim.objects.get(pk=item.pk)
    later.pk, later.removal = None, removal
    later.save()
    return later


def test_only_the_last_reclaim_of_a_person_is_restored(reclaimed_person, alice):
    later = reclaimed_again(reclaimed_person)

    with pytest.raises(NotActionable, match="reclaimed again later"):
        restores.restore(reclaimed_person, actor=alice, reason=REASON)
    assert restores.why_not_restore(later) == ""


def test_one_restore_at_a_time(world, reclaimed_person, alice, bob):
    request = restores.request_restore(Reclaim.objects.all(), actor=alice, reason=REASON)
    with pytest.raises(NotActionable, match="waits for its approval already"):
        restores.restore(reclaimed_person, actor=bob, reason=REASON)
    decide.approve(request, actor=bob)
    with pytest.raises(NotActionable, match="under way already"):
        restores.restore(reclaimed_person, actor=bob, reason=REASON)
    with pytest.raises(NotActionable, match="None of these"):
        restores.request_restore(Reclaim.objects.all(), actor=alice, reason=REASON)

    assert reclaim_due(world.profile).restored == 1
    with pytest.raises(NotActionable, match="restored already"):
        restores.restore(reclaimed_person, actor=bob, reason=REASON)


def test_a_reason_is_needed(world, reclaimed_person, alice):
    for restore in (
        lambda: restores.restore(reclaimed_person, actor=alice, reason=" "),
        lambda: restores.request_restore(Reclaim.objects.all(), actor=alice, reason=""),
    ):
        with pytest.raises(Refused, match="few words"):
            restore()
    assert not ReclaimRequest.objects.filter(direction="reactivate").exists()
