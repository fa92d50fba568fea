"""Against the sandbox: a protection made late still stops the send, and a request filed by the rule itself."""

from __future__ import annotations

import pytest
from django.contrib.auth.models import Group

from licensehub.audit.models import AuditEvent
from subscriptions.approvals import decide
from subscriptions.approvals.dry_run import Ending, try_queue
from subscriptions.approvals.request import file_automatically, open_for_approval, request_reclaim
from subscriptions.candidates.propose import propose_candidates
from subscriptions.models import Protection, Reclaim, ReclaimRequest, ReclaimRule, RemovalCandidate
from subscriptions.reclaims import engine
from subscriptions.reclaims.engine import reclaim_due
from subscriptions.rules.protections import ProtectionInput, create_protection, end_protection
from tests.support.fixtures import in_effect
from tests.support.people.keeping import pause

WISH = ProtectionInput(reason="On parental leave", owner="Petra Meyer")


@pytest.mark.parametrize("kind", ["person", "domain", "license", "role"])
def test_made_after_the_approval_it_stops_the_send_with_its_reason(world, alice, bob, kind):
    world.first_download()
    request = request_reclaim(world.candidates(1), actor=alice)
    decide.approve(request, actor=bob)
    item = Reclaim.objects.get()
    row = item.subscription
    value = {"person": row.email, "domain": row.email.partition("@")[2], "license": row.license, "role": row.role}
    create_protection(world.profile, kind, value[kind], WISH, actor=alice)

    [preview] = try_queue(world.profile).rows
    reclaim_due(world.profile)

    item.refresh_from_db()
    assert item.state == "skipped"
    assert "Not sent: Protected by alice" in item.outcome and "“On parental leave”. Ask Petra Meyer." in item.outcome
    assert preview.ending == Ending.NOT_SENT and preview.why in item.outcome
    candidate = item.removal.candidate
    assert (candidate.state, candidate.close_reason) == ("closed_skipped", "protected")
    assert world.deactivated_by_us() == []


def test_made_between_recheck_and_send_it_stops_the_send(world, alice, bob, monkeypatch):
    """The intent is committed under the lock under which the protection was made."""
    world.first_download()
    decide.approve(request_reclaim(world.candidates(1), actor=alice), actor=bob)
    rechecked = engine.recheck

    def then_protect(*args):
        found = rechecked(*args)
        create_protection(world.profile, "person", Reclaim.objects.get().subscription.email, WISH, actor=alice)
        return found

    monkeypatch.setattr(engine, "recheck", then_protect)
    reclaim_due(world.profile)

    assert Protection.objects.in_force().count() == 1
    assert world.deactivated_by_us() == [] and Reclaim.objects.get().state != "sending"


def test_ended_before_the_send_it_stops_nothing(world, alice, bob):
    """The control of the test above."""
    world.first_download()
    request = request_reclaim(world.candidates(1), actor=alice)
    decide.approve(request, actor=bob)
    row = Reclaim.objects.get().subscription
    [made] = create_protection(world.profile, "person", row.email, WISH, actor=alice).made
    end_protection(made, actor=alice)

    reclaim_due(world.profile)

    assert world.deactivated_by_us() == [row.external_id]


def test_whoever_is_protected_leaves_the_open_request(world, alice, bob):
    world.first_download()
    request = request_reclaim(world.candidates(3), actor=alice)
    person = request.removals.order_by("pk").first()

    create_protection(world.profile, "person", person.evidence["email"], WISH, actor=alice)

    person.refresh_from_db()
    assert person.drop_reason == "Protected meanwhile"
    assert decide.approve(request, actor=bob) == 2


def test_whoever_is_protected_leaves_the_request_that_waits_for_answers(world, alice, bob):
    world.first_download()
    ReclaimRule.objects.update(notify_user=True)
    request = request_reclaim(world.candidates(3), actor=alice)
    person = request.removals.order_by("pk").first()

    create_protection(world.profile, "person", person.evidence["email"], WISH, actor=alice)
    open_for_approval(request)

    request.refresh_from_db()
    assert decide.approve(request, actor=bob) == 2


def test_a_protected_person_is_never_proposed(world, alice):
    world.first_download()
    row = RemovalCandidate.objects.filter(state="ready").first().subscription
    [made] = create_protection(world.profile, "person", row.email, WISH, actor=alice).made

    world.download()
    assert not RemovalCandidate.objects.open().filter(subscription=row).exists()
    end_protection(made, actor=alice)
    world.download()
    assert RemovalCandidate.objects.filter(subscription=row, state="ready").exists()


# --- The rule files the request ---------------------------------------------------------------------------------------


def test_automatic_means_one_request_up_to_the_cap_and_a_person_decides(world, alice):
    ReclaimRule.objects.update(file_requests="automatic", batch_cap_people=4)

    world.download()

    request = ReclaimRequest.objects.get()
    assert (request.state, request.requested_by, request.removals.count()) == ("open", None, 4)
    assert world.deactivated_by_us() == [] and not Reclaim.objects.exists()
    idle = RemovalCandidate.objects.filter(state="ready").order_by("-subscription__idle_since").first()
    chosen = [person.candidate.subscription.idle_since for person in request.removals.all()]
    assert max(chosen) <= idle.subscription.idle_since
    opened = AuditEvent.objects.get(action="request.opened")
    assert (opened.actor_name, opened.data["people"]) == ("LicenseHub", 4)
    # Nobody made it, so everybody who may decide can: also who usually asks.
    alice.groups.add(Group.objects.get(name="Approver"))
    in_effect(alice)
    assert decide.approve(request, actor=alice) == 4
    reclaim_due(world.profile)
    assert len(world.deactivated_by_us()) == 4


def test_no_second_one_while_one_waits(world, bob):
    ReclaimRule.objects.update(file_requests="automatic", batch_cap_people=4)
    world.download()

    world.download()
    assert ReclaimRequest.objects.count() == 1
    decide.reject(ReclaimRequest.objects.get(), actor=bob, comment="Not this quarter", keep=pause())
    world.download()

    assert list(ReclaimRequest.objects.order_by("pk").values_list("state", flat=True)) == ["rejected", "open"]
    first, second = ReclaimRequest.objects.order_by("pk")
    assert not {row.candidate_id for row in first.removals.all()} & {row.candidate_id for row in second.removals.all()}


@pytest.mark.parametrize("switch", ["by_hand", "reclaim_off"])
def test_not_filed(world, switch):
    if switch == "reclaim_off":
        ReclaimRule.objects.update(file_requests="automatic")
        type(world.profile).objects.update(reclaim_enabled=False)
        world.profile.refresh_from_db()

    world.download()

    assert RemovalCandidate.objects.filter(state="ready").exists()
    assert file_automatically(world.profile) is None
    assert not ReclaimRequest.objects.exists()


def test_a_profile_paused_in_this_moment_does_not_fail_the_download(world, monkeypatch):
    ReclaimRule.objects.update(file_requests="automatic")

    def pause(run, **options):
        propose_candidates(run, **options)
        type(world.profile).objects.update(state="paused")

    monkeypatch.setattr("subscriptions.downloads.follow_up_steps.propose_candidates", pause)
    assert world.download().state == "complete"
    assert not ReclaimRequest.objects.exists()
