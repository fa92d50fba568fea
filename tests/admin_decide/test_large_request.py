"""A request for very many people: one page that stays readable, with the news on top and the whole list as a file."""

from __future__ import annotations

import pytest

from subscriptions.admin import request_page
from subscriptions.models import RemovalCandidate, Subscription

from .conftest import page, questions
from .test_csv import rows


@pytest.fixture
def short_page(monkeypatch):
    monkeypatch.setattr(request_page, "SHOWN", 2)
    monkeypatch.setattr(request_page, "FOLDED", 3)


def test_the_page_tells_of_those_whom_only_the_export_has(office, alice, bob, as_user, short_page):
    request = office.ask(alice, count=8)
    response = as_user(bob).get(page("reclaimrequest", "change", request.pk))
    shown = " ".join(response.content.decode().split())

    assert (len(response.context["shown"]), len(response.context["folded"])) == (2, 3)
    assert "Show 3 more people" in shown and "3 more have not changed either." in shown
    assert page("reclaimrequest", "people", request.pk) in shown
    assert response.context["tiles"]["seats"] == 8


def test_whoever_changed_is_on_the_page_however_many_there_are(office, alice, bob, as_user, short_page):
    request = office.ask(alice, count=8)
    for number in (4, 5, 6):
        Subscription.objects.filter(external_id=str(1000 + number)).update(license="advanced")

    shown = as_user(bob).get(page("reclaimrequest", "change", request.pk)).context["shown"]

    assert [row.since.text for row in shown] == ["License changed"] * 3


def test_the_export_has_everybody_of_the_request(office, alice, bob, as_user, short_page):
    request = office.ask(alice, count=8)

    found = rows(as_user(bob).get(page("reclaimrequest", "people", request.pk)))

    assert {row["E-mail"] for row in found} == {f"person{number}@northwind.example" for number in range(4, 12)}
    assert {row["Since the request"] for row in found} == {"No change"}


def test_it_takes_as_many_queries_as_a_small_one(office, alice, bob, as_user):
    small = page("reclaimrequest", "change", office.ask(alice, count=1).pk)
    for number in range(20, 50):
        office.hire(number, idle=200)
    office.propose()
    assert RemovalCandidate.objects.filter(state="ready").count() > 30
    large = page("reclaimrequest", "change", office.ask(alice, count=35).pk)
    client = as_user(bob)

    assert questions(client, large) == questions(client, small)
