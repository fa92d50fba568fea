"""The page of one subscription: whether the person was asked, the effect of a reclaim, and the link to History."""

from __future__ import annotations

from datetime import date, timedelta
from decimal import Decimal

import pytest
from django.utils import timezone

from licensehub.ui.formatting import day
from subscriptions.admin.subscriptions.timeline import RIGHT
from subscriptions.approvals import decide
from subscriptions.models import DownloadRun, Evaluation, Per, Reclaim, ReclaimRule, RequestedRemoval, Subscription
from subscriptions.money.prices import PriceInput, enter_price
from tests.support.people.organization import page
from tests.support.web.pages import text_of


@pytest.fixture
def shown(organization, alice, as_user):
    """Reads the page of Person 11, the longest idle one, as alice."""

    def read() -> str:
        row = Subscription.objects.get(name="Person 11")
        return text_of(as_user(alice).get(page("subscription", "change", row.pk)))

    return read


def test_the_first_sentence_names_the_person(organization, shown):
    text = shown()
    assert '">Person 11 is a candidate: holds a Full license, inactive for ' in text
    assert "Inactive " not in text.partition('class="lh-checks"')[0].partition("lh-verdict-sentence")[2]
    DownloadRun.objects.update(state="evaluating", evaluated_at=None)
    text = shown()
    assert "is a candidate" not in text and "The facts about Person 11 are new" in text
    assert "the verdict on them is being written" in text
    DownloadRun.objects.update(state="complete", evaluated_at=timezone.now())
    Evaluation.objects.update(verdict="protected")
    text = shown()
    assert "Person 11 is not a candidate: the seat is protected.</h2>" in text
    assert "Was protected until a moment ago" in text


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


def test_the_timeline_marks_when_the_seat_was_taken(organization, alice, bob, as_user):
    decide.approve(organization.ask(alice, count=8), actor=bob)
    row = Subscription.objects.get(name="Person 11")
    taken = Reclaim.objects.get(subscription=row)
    client, address = as_user(alice), page("subscription", "change", row.pk)
    assert client.get(address).context["timeline"].taken == (), "nothing is sent yet"
    then = timezone.now() - timedelta(days=40)
    Reclaim.objects.update(state="done", finished_at=then, read_back="inactive")
    [(x, width, label)] = client.get(address).context["timeline"].taken
    assert (label, round(x + width)) == (f"Reclaimed {day(then)}", RIGHT)
    until = then + timedelta(days=3)
    Reclaim.objects.filter(pk=taken.pk).update(back_at=until)
    [(x, width, label)] = client.get(address).context["timeline"].taken
    assert label == f"Reclaimed {day(then)}, active again {day(until)}"
    assert width < 20 and f"<title>{label}</title>" in text_of(client.get(address))


def test_the_price_stands_below_the_license(organization, alice, as_user):
    client, address = as_user(alice), page("subscription", "change", Subscription.objects.get(name="Person 11").pk)
    assert "per year" not in text_of(client.get(address))
    price = PriceInput("full", Decimal(20), "USD", Per.MONTH, date(2025, 1, 1))
    enter_price(organization.profile, price, actor=alice)
    assert "Full<small>$240 per year</small>" in text_of(client.get(address))


def test_it_takes_few_statements(organization, alice, as_user, django_assert_max_num_queries):
    organization.ask(alice, count=8)
    address = page("subscription", "change", Subscription.objects.get(name="Person 11").pk)
    client = as_user(alice)
    client.get(address)
    with django_assert_max_num_queries(31):
        assert client.get(address).status_code == 200
