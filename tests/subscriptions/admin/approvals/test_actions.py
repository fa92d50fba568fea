"""The actions on the page of a request: who may act, what each does, and that every refusal is a sentence."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.utils import timezone
from kombu.exceptions import OperationalError

from subscriptions.candidates.withdraw import withdraw
from subscriptions.eligibility.evaluate import evaluate_profile
from subscriptions.models import Reclaim, ReclaimRequest, RemovalCandidate, Subscription
from tests.support.people.organization import page, request_url, said, seen
from tests.support.web.pages import text_of

ACTS = ("approve", "reject", "take_back", "withdraw")


@pytest.mark.parametrize("act", ACTS)
@pytest.mark.parametrize("who", ["carol", "dave"])
def test_who_may_neither_ask_nor_decide_does_nothing(organization, alice, as_user, request, act, who):
    asked = organization.ask(alice)

    response = as_user(request.getfixturevalue(who)).post(request_url(act, asked), {"comment": "mine"})

    assert response.status_code == 403
    asked.refresh_from_db()
    assert asked.state == "open"


@pytest.mark.parametrize("act", ACTS)
def test_nobody_acts_without_signing_in(organization, alice, client, act):
    asked = organization.ask(alice)

    response = client.post(request_url(act, asked), {"comment": "mine"})

    assert response.status_code == 302 and "/login/" in response["Location"]
    asked.refresh_from_db()
    assert asked.state == "open"


@pytest.mark.parametrize("act", ACTS)
def test_a_get_of_an_act_only_leads_to_the_page(organization, alice, bob, as_user, act):
    asked = organization.ask(alice)

    response = as_user(bob).get(request_url(act, asked))

    assert response.status_code == 302 and response["Location"] == request_url("change", asked)
    asked.refresh_from_db()
    assert asked.state == "open"


def test_approving(organization, alice, bob, as_user, workers_called):
    asked = organization.ask(alice)

    response = as_user(bob).post(request_url("approve", asked), {"comment": "Fine", **seen(asked)}, follow=True)

    asked.refresh_from_db()
    assert (asked.state, asked.decided_by, asked.comment) == ("approved", bob, "Fine")
    assert Reclaim.objects.count() == 3
    assert workers_called == [organization.profile.pk]
    assert "R-0001 is approved: 3 seats will be reclaimed" in text_of(response).replace(asked.number, "R-0001")
    assert "Approved by bob" in text_of(response)


def test_the_requester_is_told_why_she_cannot_approve(organization, alice, as_user):
    asked = organization.ask(alice)

    shown = text_of(as_user(alice).get(request_url("change", asked)))
    posted = as_user(alice).post(request_url("approve", asked), seen(asked))

    sentence = "You made this request. Another person has to decide."
    assert sentence in shown and "Approve 3 seats" not in shown and "Withdraw" in shown
    assert said(posted) == sentence
    asked.refresh_from_db()
    assert asked.state == "open" and not Reclaim.objects.exists()


def test_a_superuser_cannot_approve_her_own_either(organization, admin_user, as_user):
    asked = organization.ask(admin_user)

    assert "Another person" in said(as_user(admin_user).post(request_url("approve", asked), seen(asked)))
    assert not Reclaim.objects.exists()


def test_who_is_concerned_cannot_approve(organization, alice, bob, as_user):
    bob.email = "PERSON11@northwind.example"
    bob.save()
    asked = organization.ask(alice)

    assert "Your own seat" in said(as_user(bob).post(request_url("approve", asked), seen(asked)))
    assert not Reclaim.objects.exists()


def test_a_reader_sees_why_she_cannot_decide(organization, alice, carol, as_user):
    asked = organization.ask(alice)

    shown = text_of(as_user(carol).get(request_url("change", asked)))

    assert "Only an Approver can decide" in shown
    assert "Approve 3 seats" not in shown and "Drop Person" not in shown


def test_approving_twice(organization, alice, bob, as_user):
    asked = organization.ask(alice)
    as_user(bob).post(request_url("approve", asked), seen(asked))

    again = as_user(bob).post(request_url("approve", asked), seen(asked))

    assert "was approved already by bob" in said(again)
    assert Reclaim.objects.count() == 3


def test_rejecting_takes_a_choice_and_a_comment(organization, alice, bob, as_user):
    """The page with the choices comes first. It says what follows, and keeps what was written."""
    asked = organization.ask(alice)
    until = timezone.localdate() + timedelta(days=40)
    wrong = {"kept_as": "paused", "comment": "Quarter close"}

    first = text_of(as_user(bob).post(request_url("reject", asked), {"comment": "Quarter close"}))
    assert ">Quarter close</textarea>" in first and "alice can request them again today." in first
    assert first.count('type="radio"') == 3 and 'value="sent_back" checked' in first
    for sent, sentence in (
        ({"kept_as": "sent_back", "comment": "  "}, "Say in a few words why"),
        (wrong, "Choose the day on which the pause ends."),
        ({**wrong, "pause_until": "soon"}, "Enter the day as year-month-day"),
        ({"kept_as": "forever", "comment": "No"}, "Choose what follows."),
    ):
        assert sentence in text_of(as_user(bob).post(request_url("reject", asked), sent))
    asked.refresh_from_db()
    assert asked.state == "open" and RemovalCandidate.objects.filter(state="awaiting_approval").count() == 3

    response = as_user(bob).post(request_url("reject", asked), {**wrong, "pause_until": until.isoformat()}, follow=True)

    asked.refresh_from_db()
    assert (asked.state, asked.comment, timezone.localdate(asked.kept_until)) == ("rejected", "Quarter close", until)
    shown = text_of(response)
    assert f"{asked} is rejected. 3 people are paused until" in shown and "Take back the rejection" in shown
    assert "nothing was sent" in shown and "Changed since" not in shown, "their cool-down is no change of facts"
    assert "paused until" in text_of(as_user(alice).get(request_url("change", asked)))
    assert "Take back the rejection" not in text_of(as_user(alice).get(request_url("change", asked)))


def test_a_rejection_is_taken_back_on_the_same_page(organization, alice, bob, carol, as_user):
    asked = organization.ask(alice, count=1)
    told = said(as_user(bob).post(request_url("reject", asked), {"kept_as": "sent_back", "comment": "On leave"}))
    assert told == f"{asked} is rejected. 1 person is Ready again at once. You can take this back below."
    assert as_user(carol).post(request_url("take_back", asked)).status_code == 403
    assert "You made this request" in said(as_user(alice).post(request_url("take_back", asked)))
    assert ReclaimRequest.objects.get().state == "rejected"

    told = said(as_user(bob).post(request_url("take_back", asked)))

    assert told == f"The rejection of {asked} is taken back: it waits for a decision again, for 1 person."
    assert "Approve 1 seat" in text_of(as_user(bob).get(request_url("change", asked)))
    assert "is not rejected" in said(as_user(bob).post(request_url("take_back", asked)))


def test_only_the_requester_withdraws(organization, alice, bob, as_user):
    asked = organization.ask(alice)

    assert "Only the person who made a request" in said(as_user(bob).post(request_url("withdraw", asked)))
    assert "is withdrawn" in said(as_user(alice).post(request_url("withdraw", asked)))
    assert RemovalCandidate.objects.filter(state="ready").count() == 8


def test_dropping_one_person_and_taking_them_back_in(organization, alice, bob, as_user):
    asked = organization.ask(alice)
    person = asked.removals.first()
    drop = page("reclaimrequest", "drop", asked.pk, person.pk)
    revision = asked.revision
    choice = {"kept_as": "protected", "protect_until": "2099-01-31", "comment": "Parental leave"}

    assert f"Drop {person}" in text_of(as_user(bob).post(drop))
    assert "Say in a few words why" in text_of(as_user(bob).post(drop, {**choice, "comment": " "}))
    told = said(as_user(bob).post(drop, choice))
    assert told.startswith(f"{person} is dropped from {asked}: protected until Jan 31, 2099.")
    assert "no longer part of an open request" in said(as_user(bob).post(drop, choice))

    shown = text_of(as_user(bob).get(request_url("change", asked)))
    assert "Approve 2 seats" in shown and f"<s>{person}</s>" in shown and "Parental leave" in shown
    assert "dropped by bob, protected until Jan 31, 2099" in shown and "Take back in" in shown

    back = page("reclaimrequest", "take_back_in", asked.pk, person.pk)
    assert "Another person dropped" in said(as_user(alice).post(back))
    assert said(as_user(bob).post(back)) == f"{person} is in {asked} again."
    assert "Approve 3 seats" in text_of(as_user(bob).get(request_url("change", asked)))
    for unknown in ({}, {"revision": "x"}):
        assert "Nothing was approved" in said(as_user(bob).post(request_url("approve", asked), unknown))
    old_page = as_user(bob).post(request_url("approve", asked), {"revision": revision})
    assert "has just changed" in said(old_page) and not Reclaim.objects.exists()


@pytest.mark.parametrize(("who", "status"), [("alice", 302), ("carol", 403), ("dave", 403)])
def test_who_may_drop(organization, alice, as_user, request, who, status):
    asked = organization.ask(alice)
    person = asked.removals.first()

    response = as_user(request.getfixturevalue(who)).post(
        page("reclaimrequest", "drop", asked.pk, person.pk), {"kept_as": "sent_back", "comment": "On leave"}
    )

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

    shown = text_of(as_user(bob).get(request_url("change", asked)))

    assert "License changed" in shown
    assert shown.index(str(last)) < shown.index(str(asked.removals.first()))


def test_who_came_back_is_dropped_and_the_others_can_be_approved(organization, alice, bob, as_user):
    asked = organization.ask(alice)
    back = asked.removals.first().candidate.subscription
    Subscription.objects.filter(pk=back.pk).update(last_activity_at=timezone.now())
    evaluate_profile(organization.profile)
    withdraw(organization.profile.pk)

    shown = text_of(as_user(bob).get(request_url("change", asked)))
    posted = as_user(bob).post(request_url("approve", asked), seen(asked))

    assert "Active again" in shown and "dropped by LicenseHub" in shown
    assert "2 seats will be reclaimed" in said(posted)


def test_an_expired_request_can_be_read_only(organization, alice, bob, as_user):
    asked = organization.ask(alice)
    ReclaimRequest.objects.filter(pk=asked.pk).update(expires_at=timezone.now() - timedelta(minutes=1))

    shown = text_of(as_user(bob).get(request_url("change", asked)))

    assert "Expired on" in shown and "Approve 3 seats" not in shown
    assert "expired on" in said(as_user(bob).post(request_url("approve", asked), seen(asked)))


def test_without_a_broker_the_approval_stands(organization, alice, bob, as_user, monkeypatch):
    def away(*args, **kwargs):
        raise OperationalError("no broker")

    monkeypatch.undo()
    monkeypatch.setattr("subscriptions.tasks.reclaim.delay", away)
    asked = organization.ask(alice)

    told = said(as_user(bob).post(request_url("approve", asked), seen(asked)))

    assert "The approval stands" in told and "is approved" in told
    asked.refresh_from_db()
    assert asked.state == "approved"
