"""The list of requests, and the number of queries of a page."""

from __future__ import annotations

from subscriptions.approvals import decide
from subscriptions.approvals.request import request_reclaim
from subscriptions.models import RemovalCandidate
from tests.support.people.organization import page, questions, request_url
from tests.support.web.pages import text_of


def test_the_list_opens_with_what_waits(organization, alice, bob, as_user):
    asked = organization.ask(alice)
    decide.approve(organization.ask(alice, count=2), actor=bob)

    shown = text_of(as_user(bob).get(page("reclaimrequest", "changelist")))
    approved = text_of(as_user(bob).get(page("reclaimrequest", "changelist") + "?state__exact=approved"))

    assert asked.number in shown and "3 seats" in shown and "2 seats" not in shown
    assert "2 seats" in approved and "3 seats" not in approved


def test_nothing_waits(organization, bob, as_user):
    shown = text_of(as_user(bob).get(page("reclaimrequest", "changelist")))

    assert "Nothing waits for approval" in shown and "Show removal candidates" in shown


def test_the_page_asks_the_same_number_of_questions_for_more_people(organization, alice, bob, as_user):
    few, many = organization.ask(alice, count=2), organization.ask(alice, count=6)
    client = as_user(bob)

    # One of them compares the request with the audit.
    assert questions(client, request_url("change", few)) == questions(client, request_url("change", many)) <= 37


def test_a_hostile_name_stays_text(empty_organization, alice, bob, as_user):
    empty_organization.hire(1, idle=100, name="<script>alert(1)</script>")
    empty_organization.propose()
    asked = empty_organization.ask(alice, reason="<img src=x onerror=alert(2)>")

    shown = text_of(as_user(bob).get(request_url("change", asked)))

    assert "<script>alert(1)" not in shown and "&lt;script&gt;alert(1)" in shown
    assert "<img src=x" not in shown


def found(client, term: str) -> list[int]:
    return [row.pk for row in client.get(page("reclaimrequest", "changelist"), {"q": term}).context["cl"].result_list]


def test_a_search_finds_requests_by_their_people_and_by_who_asked(organization, alice, as_user, monkeypatch):
    people = list(RemovalCandidate.objects.order_by("subscription"))
    requests = [
        request_reclaim(RemovalCandidate.objects.filter(pk__in=[one.pk, two.pk]), actor=alice, reason="").pk
        for one, two in zip(people[:6:2], people[1:6:2], strict=True)
    ]
    client = as_user(alice)
    one = RemovalCandidate.objects.filter(removals__request=requests[1]).first()

    assert found(client, one.evidence["email"]) == [requests[1]]
    assert found(client, "northwind") == found(client, alice.username) == requests[::-1]
    assert found(client, "nobody") == []
    # Of more people than lead to their requests, the newest do.
    monkeypatch.setattr("subscriptions.admin.approvals.request_admin.MAX_ROWS_FOUND", 3)
    assert found(client, "northwind") == requests[:0:-1]
