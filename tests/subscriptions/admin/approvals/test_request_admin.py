"""The approval pages: who may act, what each act does, and that every refusal is a sentence."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.utils import timezone
from kombu.exceptions import OperationalError

from subscriptions.approvals import decide
from subscriptions.approvals.request import request_reclaim
from subscriptions.candidates.withdraw import withdraw
from subscriptions.eligibility.evaluate import evaluate_profile
from subscriptions.models import Reclaim, ReclaimRequest, RemovalCandidate, Subscription
from tests.support.organization import page, questions, said
from tests.support.pages import text_of

ACTS = ("approve", "reject", "withdraw")


def url(act: str, request: ReclaimRequest) -> str:
    return page("reclaimrequest", act, request.pk)


@pytest.mark.parametrize("act", ACTS)
@pytest.mark.parametrize("who", ["carol", "dave"])
def test_who_may_neither_ask_nor_decide_does_nothing(organization, alice, as_user, request, act, who):
    asked = organization.ask(alice)

    response = as_user(request.getfixturevalue(who)).post(url(act, asked), {"comment": "mine"})

    assert response.status_code == 403
    asked.refresh_from_db()
    assert asked.state == "open"


@pytest.mark.parametrize("act", ACTS)
def test_nobody_acts_without_signing_in(organization, alice, client, act):
    asked = organization.ask(alice)

    response = client.post(url(act, asked), {"comment": "mine"})

    assert response.status_code == 302 and "/login/" in response["Location"]
    asked.refresh_from_db()
    assert asked.state == "open"


@pytest.mark.parametrize("act", ACTS)
def test_a_get_of_an_act_only_leads_to_the_page(organization, alice, bob, as_user, act):
    asked = organization.ask(alice)

    response = as_user(bob).get(url(act, asked))

    assert response.status_code == 302 and response["Location"] == url("change", asked)
    asked.refresh_from_db()
    assert asked.state == "open"


def test_approving(organization, alice, bob, as_user, workers_called):
    asked = organization.ask(alice)

    response = as_user(bob).post(url("approve", asked), {"comment": "Fine"}, follow=True)

    asked.refresh_from_db()
    assert (asked.state, asked.decided_by, asked.comment) == ("approved", bob, "Fine")
    assert Reclaim.objects.count() == 3
    assert workers_called == [organization.profile.pk]
    assert "R-0001 is approved: 3 seats will be reclaimed" in text_of(response).replace(asked.number, "R-0001")
    assert "Approved by bob" in text_of(response)


def test_the_requester_is_told_why_she_cannot_approve(organization, alice, as_user):
    asked = organization.ask(alice)

    shown = text_of(as_user(alice).get(url("change", asked)))
    posted = as_user(alice).post(url("approve", asked))

    sentence = "You made this request. Another person has to decide."
    assert sentence in shown and "Approve 3 seats" not in shown and "Withdraw" in shown
    assert said(posted) == sentence
    asked.refresh_from_db()
    assert asked.state == "open" and not Reclaim.objects.exists()


def test_a_superuser_cannot_approve_her_own_either(organization, admin_user, as_user):
    asked = organization.ask(admin_user)

    assert "Another person" in said(as_user(admin_user).post(url("approve", asked)))
    assert not Reclaim.objects.exists()


def test_who_is_concerned_cannot_approve(organization, alice, bob, as_user):
    bob.email = "PERSON11@northwind.example"
    bob.save()
    asked = organization.ask(alice)

    assert "Your own seat" in said(as_user(bob).post(url("approve", asked)))
    assert not Reclaim.objects.exists()


def test_a_reader_sees_why_she_cannot_decide(organization, alice, carol, as_user):
    asked = organization.ask(alice)

    shown = text_of(as_user(carol).get(url("change", asked)))

    assert "Only an Approver or a Company admin can decide" in shown
    assert "Approve 3 seats" not in shown and "Drop Person" not in shown


def test_approving_twice(organization, alice, bob, as_user):
    asked = organization.ask(alice)
    as_user(bob).post(url("approve", asked))

    again = as_user(bob).post(url("approve", asked))

    assert "was approved already by bob" in said(again)
    assert Reclaim.objects.count() == 3


def test_rejecting_takes_a_comment(organization, alice, bob, as_user):
    asked = organization.ask(alice)

    assert "Say in a few words why" in said(as_user(bob).post(url("reject", asked), {"comment": "  "}))
    asked.refresh_from_db()
    assert asked.state == "open"

    assert "3 seats stay" in said(as_user(bob).post(url("reject", asked), {"comment": "On leave"}))
    asked.refresh_from_db()
    assert (asked.state, asked.comment) == ("rejected", "On leave")


def test_only_the_requester_withdraws(organization, alice, bob, as_user):
    asked = organization.ask(alice)

    assert "Only the person who made a request" in said(as_user(bob).post(url("withdraw", asked)))
    assert "is withdrawn" in said(as_user(alice).post(url("withdraw", asked)))
    assert RemovalCandidate.objects.filter(state="ready").count() == 8


def test_dropping_one_person(organization, alice, bob, as_user):
    asked = organization.ask(alice)
    person = asked.removals.first()
    drop = page("reclaimrequest", "drop", asked.pk, person.pk)

    assert "is dropped from" in said(as_user(bob).post(drop))
    assert "no longer part of an open request" in said(as_user(bob).post(drop))

    shown = text_of(as_user(bob).get(url("change", asked)))
    assert "Approve 2 seats" in shown and f"<s>{person}</s>" in shown and "dropped by bob" in shown


@pytest.mark.parametrize(("who", "status"), [("alice", 302), ("carol", 403), ("dave", 403)])
def test_who_may_drop(organization, alice, as_user, request, who, status):
    asked = organization.ask(alice)
    person = asked.removals.first()

    response = as_user(request.getfixturevalue(who)).post(page("reclaimrequest", "drop", asked.pk, person.pk))

    assert response.status_code == status
    person.refresh_from_db()
    assert (person.dropped_at is not None) == (status == 302)


def test_a_person_of_another_request_cannot_be_dropped_here(organization, alice, bob, as_user):
    asked, other = organization.ask(alice), organization.ask(alice)

    drop = page("reclaimrequest", "drop", asked.pk, other.removals.first().pk)

    assert as_user(bob).post(drop).status_code == 404


def test_who_changed_since_is_said_first(organization, alice, bob, as_user):
    asked = organization.ask(alice)
    last = asked.removals.select_related("candidate__subscription").last()
    Subscription.objects.filter(pk=last.candidate.subscription_id).update(license="advanced")

    shown = text_of(as_user(bob).get(url("change", asked)))

    assert "License changed" in shown
    assert shown.index(str(last)) < shown.index(str(asked.removals.first()))


def test_who_came_back_is_dropped_and_the_others_can_be_approved(organization, alice, bob, as_user):
    asked = organization.ask(alice)
    back = asked.removals.first().candidate.subscription
    Subscription.objects.filter(pk=back.pk).update(last_activity_at=timezone.now())
    evaluate_profile(organization.profile)
    withdraw(organization.profile.pk)

    shown = text_of(as_user(bob).get(url("change", asked)))
    posted = as_user(bob).post(url("approve", asked))

    assert "Active again" in shown and "dropped by LicenseHub" in shown
    assert "2 seats will be reclaimed" in said(posted)


def test_an_expired_request_can_be_read_only(organization, alice, bob, as_user):
    asked = organization.ask(alice)
    ReclaimRequest.objects.filter(pk=asked.pk).update(expires_at=timezone.now() - timedelta(minutes=1))

    shown = text_of(as_user(bob).get(url("change", asked)))

    assert "Expired on" in shown and "Approve 3 seats" not in shown
    assert "expired on" in said(as_user(bob).post(url("approve", asked)))


def test_without_a_broker_the_approval_stands(organization, alice, bob, as_user, monkeypatch):
    def away(*args, **kwargs):
        raise OperationalError("no broker")

    monkeypatch.undo()
    monkeypatch.setattr("subscriptions.tasks.reclaim.delay", away)
    asked = organization.ask(alice)

    told = said(as_user(bob).post(url("approve", asked)))

    assert "The approval stands" in told and "is approved" in told
    asked.refresh_from_db()
    assert asked.state == "approved"


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

    assert questions(client, url("change", few)) == questions(client, url("change", many)) <= 26


def test_a_hostile_name_stays_text(empty_organization, alice, bob, as_user):
    empty_organization.hire(1, idle=100, name="<script>alert(1)</script>")
    empty_organization.propose()
    asked = empty_organization.ask(alice, reason="<img src=x onerror=alert(2)>")

    shown = text_of(as_user(bob).get(url("change", asked)))

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
