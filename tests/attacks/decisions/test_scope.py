"""Somebody whose roles hold for one organization reaches for another one. Each test does it."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from django.contrib.auth.models import User
from django.test import Client

from integrations.models import IntegrationProfile
from licensehub.audit.models import AuditEvent
from subscriptions.accounts import rights_changes, scope, scope_changes
from subscriptions.approvals import closing, decide
from subscriptions.approvals.deciders import deciders_of
from subscriptions.approvals.request import raise_cap, request_reclaim
from subscriptions.errors import Refused
from subscriptions.models import (
    ChangeKind,
    Protection,
    Reclaim,
    ReclaimRequest,
    RemovalCandidate,
    RightsChange,
    Subscription,
)
from subscriptions.profiles import lifecycle
from subscriptions.reclaims import restores
from subscriptions.rules.protections import ProtectionInput, create_protection
from tests.support.attacks import attack
from tests.support.fixtures import person
from tests.support.people.organization import Organization, limited_to, page, request_url, seen

OUTSIDE = "Your roles do not hold for this integration profile"
NOBODY = 9_999_999


@pytest.fixture
def asked(us: Organization, alice: User) -> ReclaimRequest:
    """A request in the US organization."""
    return us.ask(alice)


def test_an_approver_of_eu_decides_nothing_in_us(organization, us, asked, alice, bob, as_user):
    """By the id of the request, in the browser and past it."""
    in_eu = organization.ask(alice, count=2)
    bob = limited_to(bob, organization.profile)
    client: Client = as_user(bob)
    someone = asked.removals.first().pk
    acts = ("approve", "reject", "raise_cap", "withdraw", "progress", "evidence_pack")
    for act in acts:
        theirs, none = (client.post(page("reclaimrequest", act, pk), seen(asked)) for pk in (asked.pk, NOBODY))
        assert theirs.status_code == none.status_code, act
        assert theirs.status_code in (403, 404), act
    assert client.post(page("reclaimrequest", "drop", asked.pk, someone)).status_code == 404
    asked.refresh_from_db()
    assert (asked.state, asked.cap_raised_by, asked.removals.not_dropped().count()) == ("open", None, 3)

    with pytest.raises(Refused, match=OUTSIDE):
        decide.approve(asked, actor=bob)
    with pytest.raises(Refused, match=OUTSIDE):
        decide.reject(asked, actor=bob, comment="No")
    with pytest.raises(Refused, match=OUTSIDE):
        raise_cap(asked, actor=bob, reason="True-up")
    with pytest.raises(Refused, match=OUTSIDE):
        closing.drop(asked.removals.get(pk=someone), actor=bob, reason="No")
    assert not AuditEvent.objects.filter(action="request.approved").exists()
    assert not deciders_of(asked).exists()
    assert [user.pk for user in deciders_of(in_eu)] == [bob.pk]
    assert decide.approve(in_eu, actor=bob) == 2


def test_a_license_manager_of_eu_changes_nothing_in_us(organization, us, alice, bob, as_user):
    approved = us.ask(alice, count=1)
    decide.approve(approved, actor=bob)
    sent = Reclaim.objects.get()
    alice = limited_to(alice, organization.profile)
    client: Client = as_user(alice)
    theirs = Subscription.objects.filter(profile=us.profile)
    ready = RemovalCandidate.objects.filter(profile=us.profile, state="ready")
    before = AuditEvent.objects.count()

    chosen = {"_selected_action": [str(pk) for pk in ready.values_list("pk", flat=True)]}
    for act in ("request", "request_reclaim", "protect"):
        client.post(page("removalcandidate", "changelist"), {**chosen, "action": act, "select_across": "1"})
    wish = {"kind": "person", "value": theirs[0].email, "reason": "Mine", "owner": "Me", "profile": us.profile.pk}
    client.post(page("protection", "add"), wish)
    client.post(page("subscription", "request", theirs[0].pk), {"reason": "True-up"})
    client.post(page("reclaim", "restore", sent.pk), {"reason": "True-up"})
    client.post(page("reclaimrule", "change", us.rule.pk), {"inactive_days": "1"})
    assert not ReclaimRequest.objects.filter(profile=us.profile).exclude(pk=approved.pk).exists()
    assert not Protection.objects.filter(profile=us.profile).exists()

    acts: list[Callable[[], object]] = [
        lambda: request_reclaim(ready, actor=alice),
        lambda: restores.restore(sent, actor=alice, reason="True-up"),
        lambda: create_protection(us.profile, "domain", "x.example", ProtectionInput("x", "y", None), actor=alice),
        lambda: lifecycle.stop_sending(us.profile, actor=alice),
        lambda: lifecycle.make_download_due(us.profile, actor=alice),
        lambda: lifecycle.rename(us.profile, "Mine", actor=alice),
    ]
    for act in acts:
        with pytest.raises(Refused, match=OUTSIDE):
            act()
    assert AuditEvent.objects.count() == before
    assert request_reclaim(RemovalCandidate.objects.filter(profile=organization.profile), actor=alice).pk


def test_an_operator_of_eu_stops_and_runs_nothing_in_us(organization, us, as_user):
    """Nor what concerns the whole company."""
    client: Client = as_user(limited_to(person("olga", "Operator"), organization.profile))
    for act in ("stop", "pause", "download", "reclaim", "reclaim_on"):
        address = f"/admin/integrations/integrationprofile/{us.profile.pk}/act/{act}/"
        assert client.post(address).status_code == 404, act
    assert client.post("/admin/integrations/sendingcontrol/act/stop/", {"reason": "x"}).status_code == 403
    assert client.post("/admin/integrations/integrationprofile/add/").status_code == 403
    profile = IntegrationProfile.objects.get(pk=us.profile.pk)
    assert (profile.sending_stopped, profile.state, profile.download_due_at) == (False, "published", None)
    address = f"/admin/integrations/integrationprofile/{organization.profile.pk}/act/stop/"
    assert client.post(address).status_code == 302
    assert IntegrationProfile.objects.get(pk=organization.profile.pk).sending_stopped


def test_a_scope_counts_with_its_event_only(organization, us, asked, bob):
    """Somebody deletes or changes its rows in the database."""
    bob = limited_to(bob, organization.profile)
    attack("UPDATE integrations_accountscope_profiles SET integrationprofile_id = %s", us.profile.pk)
    with pytest.raises(Refused, match=OUTSIDE):
        decide.approve(asked, actor=User.objects.get(pk=bob.pk))
    attack("DELETE FROM integrations_accountscope_profiles")
    attack("DELETE FROM integrations_accountscope")
    with pytest.raises(Refused, match=OUTSIDE):
        decide.approve(asked, actor=User.objects.get(pk=bob.pk))


def test_more_profiles_wait_for_a_second_admin(organization, us, asked, bob):
    mallory, trent = person("mallory", "Company admin"), person("trent", "Company admin")
    eu, both = organization.profile.pk, {organization.profile.pk, us.profile.pk}
    assert not scope_changes.choose(bob, [eu], actor=mallory)
    assert scope_changes.choose(bob, both, actor=mallory)
    change = RightsChange.objects.get(kind=ChangeKind.SCOPE)
    with pytest.raises(Refused, match=OUTSIDE):
        decide.approve(asked, actor=bob)
    with pytest.raises(Refused, match="You asked for this change"):
        rights_changes.confirm(change, actor=mallory)
    with pytest.raises(Refused, match="Only a second admin"):
        rights_changes.confirm(change, actor=limited_to(person("oscar", "Company admin"), organization.profile))
    rights_changes.confirm(change, actor=trent)
    assert scope.stored_choice(bob) == both
    assert decide.approve(asked, actor=bob) == 3


def test_a_scope_that_ends_meanwhile_ends_the_decision(organization, us, asked, bob, as_user):
    """The page of the request is open in a browser. What is taken away does not wait."""
    mallory = person("mallory", "Company admin")
    client: Client = as_user(bob)
    assert client.get(request_url("change", asked)).status_code == 200
    form = seen(asked)
    assert not scope_changes.choose(bob, [organization.profile.pk], actor=mallory)
    assert client.post(request_url("approve", asked), form).status_code == 404
    asked.refresh_from_db()
    assert asked.state == "open"
    with pytest.raises(Refused, match="Another admin has to choose"):
        scope_changes.choose(mallory, [us.profile.pk], actor=mallory)
