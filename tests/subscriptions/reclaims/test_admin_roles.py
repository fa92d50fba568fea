"""People who administer a part of the organization: read from the vendor, and held at each step of a reclaim."""

from __future__ import annotations

import pytest

from subscriptions.approvals import decide
from subscriptions.approvals.request import request_reclaim
from subscriptions.models import Reclaim, ReclaimRule, RemovalCandidate, Subscription, Verdict
from subscriptions.reclaims.engine import reclaim_due

ROLE = "Legal Hold Steward"


def inactive(world):
    """The longest idle person without an admin role whom Miro does not refuse."""
    world.download()
    return world.candidates(1).get().subscription


def test_they_are_read_held_for_review_and_their_candidate_is_withdrawn(world):
    row = inactive(world)
    truth = {
        member.id: tuple(sorted(member.admin_roles)) for member in world.sandbox.world.after("") if member.admin_roles
    }
    stored = Subscription.objects.exclude(admin_roles="").values_list("external_id", "admin_roles")
    assert dict(stored) == truth
    assert sorted(truth.values()) == [("Content Admin", "Workshop Facilitators"), ("User Admin",)]

    world.miro.change(row.external_id, admin_roles=["User Admin", ROLE])
    world.download()

    row.refresh_from_db()
    assert (row.verdict, row.admin_roles) == (Verdict.ADMIN_ROLE, (ROLE, "User Admin"))
    assert row.all_roles_label == f"Member, {ROLE}, User Admin"
    candidate = row.candidates.get()
    assert (candidate.state, candidate.close_reason) == ("closed_skipped", "role_changed")
    world.miro.change(row.external_id, admin_roles=[])
    world.download()
    assert Subscription.objects.get(pk=row.pk).verdict == Verdict.CANDIDATE


@pytest.mark.parametrize("meaning", ["review", "candidate", "leave"])
def test_who_becomes_one_between_approval_and_send_keeps_the_seat(world, alice, bob, meaning):
    """Also where the rule treats them like everybody else: this is not what was approved."""
    ReclaimRule.objects.update(admin_roles=meaning)
    row = inactive(world)
    decide.approve(request_reclaim(world.candidates(1), actor=alice), actor=bob)
    world.miro.change(row.external_id, admin_roles=[ROLE])

    assert reclaim_due(world.profile).skipped == 1

    assert world.deactivated_by_us() == []
    item = Reclaim.objects.get()
    assert ROLE in item.outcome
    assert item.outcome.startswith("Not sent: ")
    assert item.removal.candidate.close_reason == ("protected" if meaning == "leave" else "role_changed")


def test_the_rule_can_treat_them_like_everybody_else(world, alice, bob):
    ReclaimRule.objects.update(admin_roles="candidate")
    row = inactive(world)
    world.miro.change(row.external_id, admin_roles=[ROLE])
    world.download()
    chosen = RemovalCandidate.objects.filter(subscription=row)
    assert chosen.get().evidence["admin_roles"] == []
    assert request_reclaim(chosen, actor=alice)
    decide.approve(chosen.get().removals.get().request, actor=bob)

    # The evidence is that of a person without the role.
    assert reclaim_due(world.profile).skipped == 1
    assert "admin roles are not those" in Reclaim.objects.get().outcome

    world.download()
    again = RemovalCandidate.objects.open().filter(subscription=row)
    assert again.get().evidence["admin_roles"] == [ROLE]
    decide.approve(request_reclaim(again, actor=alice), actor=bob)
    assert reclaim_due(world.profile).reclaimed == 1
    assert world.deactivated_by_us() == [row.external_id]
