"""The page of one subscription: whether the person was asked, the effect of a reclaim, and the link to History."""

from __future__ import annotations

import pytest
from django.utils import timezone

from subscriptions.approvals import decide
from subscriptions.models import DownloadRun, Evaluation, Reclaim, ReclaimRule, RequestedRemoval, Subscription
from tests.support.organization import page
from tests.support.pages import text_of


@pytest.fixture
def shown(organization, alice, as_user):
    """Reads the page of Person 11, the longest idle one, as alice."""

    def read() -> str:
        row = Subscription.objects.get(name="Person 11")
        return text_of(as_user(alice).get(page("subscription", "change", row.pk)))

    return read


def test_nobody_is_asked_unless_the_rule_says_so(organization, shown):
    assert "Not asked yet" not in shown()

    ReclaimRule.objects.update(notify_user=True, days_to_answer=9)
    assert "Not asked yet. A request asks the person first, and waits 9 days for Keep or Release." in shown()


def test_what_the_person_answered(organization, alice, shown):
    ReclaimRule.objects.update(notify_user=True)
    asked = organization.ask(alice, count=8)
    assert f"Asked with {asked}; no answer." in shown()

    RequestedRemoval.objects.update(answer="keep", answered_at=timezone.now())
    assert "Wants to keep it, said on" in shown()


def test_what_is_not_checked_is_said_to_be_so(organization, shown):
    assert "the only admin of a team is not checked" in shown()

    DownloadRun.objects.update(team_admins_checked=True)
    assert "Not the only admin of any team." in shown()

    Subscription.objects.update(sole_admin_of="People Ops")
    assert "The only admin of “People Ops”: Miro refuses until the team has another." in shown()


def test_the_link_to_history(organization, alice, bob, shown):
    assert "in History" not in shown()

    decide.approve(organization.ask(alice, count=8), actor=bob)
    Reclaim.objects.update(state="done", finished_at=timezone.now(), read_back="inactive")
    Subscription.objects.update(active=False)
    Evaluation.objects.update(verdict="deactivated")

    text = shown()
    assert "1 entry in History" in text and "?q=person11%40northwind.example" in text
    assert "The seat is free" in text and "If the seat is reclaimed" not in text


def test_it_takes_few_statements(organization, alice, as_user, django_assert_max_num_queries):
    organization.ask(alice, count=8)
    address = page("subscription", "change", Subscription.objects.get(name="Person 11").pk)
    client = as_user(alice)
    client.get(address)
    with django_assert_max_num_queries(31):
        assert client.get(address).status_code == 200
