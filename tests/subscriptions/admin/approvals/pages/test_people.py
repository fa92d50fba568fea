"""A request for very many people: one page that stays readable, with the news on top and the whole list as a file."""

from __future__ import annotations

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from subscriptions.admin.approvals.pages import people
from subscriptions.approvals import closing
from subscriptions.models import AccountSettings, CloseReason, ReclaimRequest, RemovalCandidate, Subscription
from tests.support.people.organization import page, questions
from tests.support.web.exports import rows
from tests.support.web.pages import text_of


@pytest.fixture
def short_page(monkeypatch):
    monkeypatch.setattr(people, "SHOWN", 2)
    monkeypatch.setattr(people, "FOLDED", 3)


def test_the_page_tells_of_those_whom_only_the_export_has(organization, alice, bob, as_user, short_page):
    request = organization.ask(alice, count=8)
    response = as_user(bob).get(page("reclaimrequest", "change", request.pk))
    shown = text_of(response)

    assert (len(response.context["shown"]), len(response.context["folded"])) == (2, 3)
    assert "Show 3 more people" in shown and "3 more without a change are not shown." in shown
    assert page("reclaimrequest", "people", request.pk, "csv") in shown
    assert response.context["tiles"]["seats"] == 8


def test_whoever_changed_is_on_the_page_however_many_there_are(organization, alice, bob, as_user, short_page):
    request = organization.ask(alice, count=8)
    for number in (4, 5, 6):
        Subscription.objects.filter(external_id=str(1000 + number)).update(license="advanced")

    shown = as_user(bob).get(page("reclaimrequest", "change", request.pk)).context["shown"]

    assert [row.change.text for row in shown] == ["License changed"] * 3


def test_the_switch_shows_as_many_people_as_it_says(organization, alice, bob, as_user, short_page):
    request = organization.ask(alice, count=8)
    client, address = as_user(bob), page("reclaimrequest", "change", request.pk)
    assert "?people=changed" not in text_of(client.get(address)), "nobody changed"
    for number in (4, 5, 6):
        Subscription.objects.filter(external_id=str(1000 + number)).update(license="advanced")
    closing.drop(request.removals.last(), actor=bob, reason="On leave")
    whole, changed = client.get(address), client.get(f"{address}?people=changed")

    assert (whole.context["tiles"]["changed"], whole.context["tiles"]["requested"]) == (4, 8)
    assert 'href="?people=changed">4</a>' in text_of(whole)
    assert len(changed.context["shown"]) == 4
    assert (changed.context["folded"], changed.context["export_only"]) == ([], 0)
    # A decision is about everybody.
    assert changed.context["tiles"] == whole.context["tiles"]
    assert changed.context["digest"] == whole.context["digest"]
    # Later, everybody differs: they are reclaimed.
    ReclaimRequest.objects.update(
        state="approved", decided_by=bob, decided_at=timezone.now(), valid_until=timezone.now()
    )
    decided = client.get(f"{address}?people=changed")
    assert "?people=changed" not in text_of(decided)
    assert len(decided.context["shown"]) + len(decided.context["folded"]) + decided.context["export_only"] == 8


def test_the_requester_is_one_click_away(organization, alice, bob, as_user):
    request = organization.ask(alice, count=1)
    shown = text_of(as_user(bob).get(page("reclaimrequest", "change", request.pk)))
    assert f'href="mailto:alice%40northwind.example?subject=LicenseHub%20{request.number}">alice</a>' in shown


def test_the_export_has_everybody_of_the_request(organization, alice, bob, as_user, short_page):
    request = organization.ask(alice, count=8)

    found = rows(as_user(bob).get(page("reclaimrequest", "people", request.pk, "csv")))

    assert {row["E-mail"] for row in found} == {f"person{number}@northwind.example" for number in range(4, 12)}
    assert {row["Since the request"] for row in found} == {"No change"}


def test_files_have_the_last_activity_in_the_time_of_their_reader(organization, alice, bob, as_user):
    """The evidence has it in UTC and with microseconds, so that a file could show another day than the page."""
    request = organization.ask(alice, count=1)
    person = request.removals.get()
    person.candidate.evidence["last_activity_at"] = "2025-12-07T23:33:42.759000+00:00"
    person.candidate.save()
    type(person).objects.filter(pk=person.pk).update(evidence=person.candidate.evidence)
    client = as_user(bob)
    AccountSettings.objects.update_or_create(user=bob, defaults={"time_zone": "Europe/Berlin"})

    candidates = (
        f"{reverse('admin:subscriptions_removalcandidate_export', args=['csv'])}?state__exact=awaiting_approval"
    )
    for address in (page("reclaimrequest", "people", request.pk, "csv"), candidates):
        assert [row["Last activity (Europe/Berlin)"] for row in rows(client.get(address))] == ["2025-12-08 00:33:42"]


def test_each_request_names_its_files(organization, alice, bob, as_user):
    request = organization.ask(alice, count=1)
    shown = text_of(as_user(bob).get(page("reclaimrequest", "change", request.pk)))
    assert "Export these people" in shown and page("reclaimrequest", "people", request.pk, "xlsx") in shown


def test_it_takes_as_many_queries_as_a_small_one(organization, alice, bob, as_user):
    small = page("reclaimrequest", "change", organization.ask(alice, count=1).pk)
    for number in range(20, 50):
        organization.hire(number, idle=200)
    organization.propose()
    assert RemovalCandidate.objects.filter(state="ready").count() > 30
    large = page("reclaimrequest", "change", organization.ask(alice, count=35).pk)
    client = as_user(bob)

    assert questions(client, large) == questions(client, small)


def test_the_export_is_for_those_who_may_look(organization, alice, as_user, django_user_model):
    stranger = django_user_model.objects.create_user("stranger", is_staff=True)
    assert as_user(stranger).get(page("reclaimrequest", "people", organization.ask(alice).pk, "csv")).status_code == 403


def test_a_kept_seat_is_left_alone_for_the_threshold_of_its_own_evidence(organization, alice):
    request = organization.ask(alice, count=3)
    other = RemovalCandidate.objects.filter(removals__request=request).first()
    other.evidence["terms"]["threshold"] = 10
    other.save()

    for person in request.removals.all():
        closing.drop_by_licensehub(person, reason="Wants to keep the seat.", close_reason=CloseReason.KEPT_BY_USER)

    left = {
        row.pk: (row.cooldown_until - timezone.now()).days for row in Subscription.objects.exclude(cooldown_until=None)
    }
    assert left.pop(other.subscription_id) in (9, 10)
    assert set(left.values()) <= {59, 60} and len(left) == 2


def test_a_drop_takes_the_candidate_first_as_a_withdrawal_does(organization, alice):
    """Else the two wait for each other."""
    person = organization.ask(alice).removals.first()
    with CaptureQueriesContext(connection) as asked:
        closing.drop(person, actor=alice, reason="On leave")
    rows = ('"subscriptions_removalcandidate"', '"subscriptions_requestedremoval"')
    tables = [query["sql"] for query in asked if any(row in query["sql"] for row in rows)]
    assert tables[0].startswith("SELECT") and 'FROM "subscriptions_removalcandidate"' in tables[0]
