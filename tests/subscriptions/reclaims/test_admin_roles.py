"""People who administer a part of the organization: read from the vendor, and held at each step of a reclaim."""

from __future__ import annotations

import pytest
from django.core.exceptions import ValidationError

from subscriptions.admin.rules.protections.protected_people import address_of_people
from subscriptions.approvals import decide
from subscriptions.approvals.request import request_reclaim
from subscriptions.eligibility.clauses import explain
from subscriptions.eligibility.terms import terms_of
from subscriptions.models import Protection, Reclaim, ReclaimRule, RemovalCandidate, Subscription, Verdict
from subscriptions.models.protection import count_people
from subscriptions.reclaims.engine import reclaim_due
from subscriptions.rules.protections import ProtectionInput, create_protection, end_protection

ROLE = "Legal Hold Steward"
WISH = ProtectionInput(reason="Runs the legal holds", owner="Petra Meyer")


def inactive(world):
    """The longest inactive person without an admin role that Miro does not refuse to deactivate."""
    world.first_download()
    return world.candidates(1).get().subscription


def test_people_with_an_admin_role_need_review_and_their_candidate_is_withdrawn(world):
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
def test_a_person_who_gets_an_admin_role_between_approval_and_send_keeps_the_seat(world, alice, bob, meaning):
    """The same if the rule treats them like everybody else: the approved person had no admin role."""
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


def test_the_rule_can_treat_people_with_an_admin_role_like_everybody_else(world, alice, bob):
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


def test_a_protection_of_the_role_covers_all_who_have_it_and_who_gets_it_later(world, alice, bob, as_user):
    """The same if the rule treats them like everybody else, and between approval and send."""
    ReclaimRule.objects.update(admin_roles="candidate")
    row = inactive(world)
    other = world.candidates(2).exclude(subscription=row).get().subscription
    world.miro.change(row.external_id, admin_roles=["User Admin", ROLE])
    world.miro.change(other.external_id, admin_roles=[f"{ROLE} of Lyon"])
    world.download()
    with pytest.raises(ValidationError, match="Content Admin, Legal Hold Steward, Legal Hold Steward of Lyon"):
        create_protection(world.profile, "admin_role", "Legal Hold", WISH, actor=alice)

    made = create_protection(world.profile, "admin_role", ROLE.upper(), WISH, actor=alice)

    [protection] = made.made
    assert (protection.value, str(protection)) == (ROLE, f"everybody with the admin role {ROLE}")
    assert count_people([protection]) == {protection.pk: 1}
    row.refresh_from_db()
    assert row.verdict == Verdict.PROTECTED
    assert "as everybody with the admin role Legal Hold Steward" in explain(row, terms_of(world.profile))
    assert Subscription.objects.get(pk=other.pk).verdict == Verdict.CANDIDATE
    listed = as_user(alice).get(address_of_people(Protection.objects.with_person().get(pk=protection.pk)))
    assert [found.pk for found in listed.context["cl"].result_list] == [row.pk]

    third = world.candidates(1).get()
    decide.approve(request_reclaim(world.candidates(1), actor=alice), actor=bob)
    world.miro.change(third.subscription.external_id, admin_roles=[ROLE])
    assert reclaim_due(world.profile).skipped == 1
    assert world.deactivated_by_us() == []
    assert "Not sent: Protected by alice, as everybody with the admin role" in Reclaim.objects.get().outcome

    end_protection(protection, actor=alice)
    row.refresh_from_db()
    assert row.verdict == Verdict.CANDIDATE
