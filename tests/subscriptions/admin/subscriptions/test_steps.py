"""The page of one subscription: whether the person was asked, what a reclaim means, and the way to History."""

from __future__ import annotations

import pytest
from django.utils import timezone

from subscriptions.approvals import decide
from subscriptions.models import DownloadRun, Evaluation, Reclaim, ReclaimRule, RequestedRemoval, Subscription
from tests.support.organization import page


@pytest.fixture
def story(organization, alice, as_user):
    """What the page of Person 11 tells alice, the longest idle one."""

    def told() -> str:
        row = Subscription.objects.get(name="Person 11")
        return " ".join(as_user(alice).get(page("subscription", "change", row.pk)).content.decode().split())

    return told


def test_nobody_is_asked_unless_the_rule_says_so(organization, story):
    assert "Not asked yet" not in story()

    ReclaimRule.objects.update(notify_user=True, days_to_answer=9)
    assert "Not asked yet. A request asks the person first, and waits 9 days for Keep or Release." in story()


def test_what_the_person_answered(organization, alice, story):
    ReclaimRule.objects.update(notify_user=True)
    asked = organization.ask(alice, count=8)
    assert f"Asked with {asked}; no answer." in story()

    RequestedRemoval.objects.update(answer="keep", answered_at=timezone.now())
    assert "Wants to keep it, said on" in story()


def test_what_is_not_checked_is_said_to_be_so(organization, story):
    assert "the only admin of a team is not checked" in story()

    DownloadRun.objects.update(team_admins_checked=True)
    assert "Not the only admin of any team." in story()

    Subscription.objects.update(sole_admin_of="People Ops")
    assert "The only admin of “People Ops”: Miro refuses until the team has another." in story()


def test_the_way_to_history(organization, alice, bob, story):
    assert "in History" not in story()

    decide.approve(organization.ask(alice, count=8), actor=bob)
    Reclaim.objects.update(state="done", finished_at=timezone.now(), read_back="inactive")
    Subscription.objects.update(active=False)
    Evaluation.objects.update(verdict="deactivated")

    told = story()
    assert "1 entry in History" in told and "?q=person11%40northwind.example" in told
    assert "The seat is free" in told and "If the seat is reclaimed" not in told
