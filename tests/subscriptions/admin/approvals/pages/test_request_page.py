"""The page of a request: the answers of its people, who asked, the impact, and who may decide."""

from __future__ import annotations

import re
from datetime import date
from decimal import Decimal

import pytest
from django.utils import timezone, translation

from subscriptions.admin.approvals.pages.request_page import why_empty
from subscriptions.approvals import closing, decide
from subscriptions.approvals.request import file_automatically, open_for_approval
from subscriptions.models import (
    DownloadRun,
    Per,
    Reclaim,
    ReclaimRequest,
    ReclaimRule,
    RemovalCandidate,
    RequestedRemoval,
    Subscription,
)
from subscriptions.money.prices import PriceInput, enter_price
from subscriptions.profiles import lifecycle
from tests.support.attacks import attack
from tests.support.people.organization import page, questions, request_url, said, seen
from tests.support.web.pages import text_of


@pytest.fixture
def collecting(organization, alice) -> ReclaimRequest:
    """Waits for the answers of its three people."""
    ReclaimRule.objects.update(notify_user=True)
    return organization.ask(alice)


# --- Answers ----------------------------------------------------------------------------------------------------------


def test_while_people_are_asked(collecting, alice, bob, as_user):
    person = collecting.removals.first()
    RequestedRemoval.objects.filter(pk=person.pk).update(answer="keep", answered_at=timezone.now())

    shown = text_of(as_user(bob).get(request_url("change", collecting)))

    assert "Waiting for people" in shown and "The people are asked first. They can answer until" in shown
    assert "<b>1</b> of 3" in shown and "1 wants to keep the seat, 0 released it, 2 did not answer yet" in shown
    assert "You can decide when they have answered or their time is over." in shown and "Approve 3 seats" not in shown
    assert "Wants to keep it" in shown and "No answer yet" in shown
    told = said(as_user(bob).post(request_url("approve", collecting), seen(collecting)))
    assert "still waits for the answers" in told


def test_an_answer_that_was_changed_in_the_database_is_marked(organization, alice, bob, as_user):
    asked = organization.ask(alice)
    unmarked = text_of(as_user(bob).get(request_url("change", asked)))
    assert "Changed outside" not in unmarked and "that LicenseHub did not write" not in unmarked
    last = asked.removals.order_by("pk").last()
    answered = "UPDATE subscriptions_requestedremoval SET answer = 'release', answered_at = %s WHERE id = %s"
    attack(answered, "2026-01-02 03:04:05+00:00", last.pk)
    attack("UPDATE subscriptions_reclaimrequest SET reason = 'As the board wants' WHERE id = %s", asked.pk)
    shown = text_of(as_user(bob).get(request_url("change", asked)))
    [banner, row] = re.findall(r"<dl class=.lh-versions.>(.*?)</dl>", shown)
    assert "<strong>nothing</strong>" in row and "<s>release 2026-01-02 03:04:05+00:00</s>" in row
    assert "<strong>True-up</strong>" in banner and "<s>As the board wants</s>" in banner
    assert shown.count("Changed outside") == 1
    # The marked person is the first one of the table.
    assert shown.index("lh-row-outside") < shown.index(f"removalcandidate/{asked.removals.first().candidate_id}/change")


def test_dropping_and_withdrawing_while_people_are_asked(collecting, alice, bob, as_user):
    person = collecting.removals.first()

    drop = page("reclaimrequest", "drop", collecting.pk, person.pk)
    assert "is dropped from" in said(as_user(bob).post(drop, {"kept_as": "sent_back", "comment": "On leave"}))
    assert "Withdraw the request" in text_of(as_user(alice).get(request_url("change", collecting)))
    assert "is withdrawn" in said(as_user(alice).post(request_url("withdraw", collecting)))
    assert RemovalCandidate.objects.filter(state="awaiting_user").count() == 0


def test_the_approver_sees_the_answers_and_who_wants_to_keep_first(collecting, bob, as_user):
    last = collecting.removals.last()
    RequestedRemoval.objects.filter(pk=last.pk).update(answer="keep", answered_at=timezone.now())
    open_for_approval(collecting)

    shown = text_of(as_user(bob).get(request_url("change", collecting)))

    assert "1 wants to keep the seat, 0 released it, 2 did not answer." in shown and "Approve 3 seats" in shown
    assert shown.index(str(last.candidate)) < shown.index(str(collecting.removals.first().candidate))


def test_the_list_has_them_in_a_tab_of_their_own(collecting, bob, as_user):
    client = as_user(bob)
    shown = text_of(client.get(page("reclaimrequest", "changelist")))
    tab = text_of(client.get(page("reclaimrequest", "changelist") + "?state__exact=collecting"))

    assert 'Waiting for people <span class="lh-count">1</span>' in shown and collecting.number not in shown
    assert collecting.number in tab and "Answers until" in tab


# --- Who asked, and what it repeats -----------------------------------------------------------------------------------


def test_the_schedule_filed_it(organization, bob, as_user):
    ReclaimRule.objects.update(file_requests="automatic")
    asked = file_automatically(organization.profile)
    client = as_user(bob)

    shown = text_of(client.get(request_url("change", asked)))

    assert "Requested by <strong>LicenseHub, by schedule</strong>" in shown
    assert "LicenseHub, by schedule" in text_of(client.get(page("reclaimrequest", "changelist")))
    assert "seats will be reclaimed" in said(client.post(request_url("approve", asked), seen(asked)))


def test_a_request_that_repeats_a_send_in_doubt_says_so(organization, alice, bob, as_user):
    decide.approve(organization.ask(alice, count=1), actor=bob)
    doubt = Reclaim.objects.get()
    Reclaim.objects.update(state="in_doubt", read_back="active", sending_at=timezone.now())
    again = organization.ask(alice, count=1)
    ReclaimRequest.objects.filter(pk=again.pk).update(repeats=doubt)

    shown = text_of(as_user(bob).get(request_url("change", again)))

    assert "Repeats a send in doubt" in shown and "shows this person as active" in shown
    assert page("reclaim", "change", doubt.pk) in shown


# --- Consequences -----------------------------------------------------------------------------------------------------


def test_the_last_admin_of_a_team_is_named(organization, alice, bob, as_user):
    asked = organization.ask(alice)
    client = as_user(bob)
    assert "Only admins of teams: not checked." in text_of(client.get(request_url("change", asked)))

    DownloadRun.objects.update(team_admins_checked=True)
    assert "Nobody is the only admin of a team," in text_of(client.get(request_url("change", asked)))

    Subscription.objects.filter(name="Person 11").update(sole_admin_of="People Ops")
    shown = text_of(client.get(request_url("change", asked)))
    assert "1 is the only admin of a team." in shown and "Miro refuses until “People Ops” has another." in shown


def test_who_became_a_company_admin_is_counted(organization, alice, bob, as_user):
    asked = organization.ask(alice)
    assert "No company admins," in text_of(as_user(bob).get(request_url("change", asked)))

    Subscription.objects.filter(name="Person 11").update(reclaimable=False)
    assert "1 is a company admin or guest now." in text_of(as_user(bob).get(request_url("change", asked)))


def test_a_profile_that_is_paused_lets_nobody_decide(organization, alice, bob, as_user):
    asked = organization.ask(alice)
    lifecycle.pause(organization.profile, actor=bob)

    shown = text_of(as_user(bob).get(request_url("change", asked)))

    assert "Publish it before you request or approve." in shown and "Approve 3 seats" not in shown


def test_whose_own_seat_it_is_sees_no_button(organization, alice, bob, as_user):
    bob.email = "PERSON11@northwind.example"
    bob.save()

    shown = text_of(as_user(bob).get(request_url("change", organization.ask(alice))))

    assert "Your own seat is among these people" in shown and "Approve 3 seats" not in shown


def test_the_page_asks_no_question_per_answer(collecting, organization, alice, bob, as_user):
    many = organization.ask(alice, count=5)
    client = as_user(bob)

    assert questions(client, request_url("change", collecting)) == questions(client, request_url("change", many))


def test_a_request_without_people_says_why_in_the_language_of_its_reader(organization, alice):
    asked = organization.ask(alice, count=1)
    asked.removals.update(drop_reason="No contact: the question did not reach this person.")
    assert why_empty(asked) == "No contact: the question did not reach this person (1)"
    with translation.override("de"):
        assert why_empty(asked) == "Kein Kontakt: Die Frage hat diese Person nicht erreicht (1)"


# --- Departments ------------------------------------------------------------------------------------------------------


def test_the_departments_add_up_to_the_tiles(organization, alice, bob, as_user):
    """Eight departments are named, the largest first; the small ones are one line, and so are people without one."""
    names = [name for number, name in enumerate("ABCDEFGHIJ") for _ in range(2 if number == 9 else 1)]
    for number, name in enumerate([*names, "", "", ""], start=20):
        organization.hire(number, idle=200, department=name, license="advanced" if name == "B" else "full")
    organization.propose()
    enter_price(organization.profile, PriceInput("full", Decimal(240), "USD", Per.YEAR, date(2020, 1, 1)), actor=alice)
    hired = {str(number) for number in range(1020, 1034)}
    request = organization.ask(alice, count=RemovalCandidate.objects.filter(state="ready").count())
    others = request.removals.exclude(candidate__subscription__external_id__in=hired)
    dropped = [*others, request.removals.get(candidate__subscription__department="C")]
    for removal in dropped:
        closing.drop(removal, actor=bob, reason="On leave")
    client, address = as_user(bob), request_url("change", request)
    shown = client.get(address)
    lines, tiles, saves = (shown.context[name] for name in ("departments", "tiles", "saves"))
    assert [(line.name, line.seats) for line in lines] == [
        *(("J", 2), ("A", 1), ("B", 1), ("D", 1), ("E", 1), ("F", 1), ("G", 1), ("H", 1)),
        ("1 other department", 1),
        ("No department known", 3),
    ]
    assert sum(line.seats for line in lines) == tiles["seats"] == 13
    assert sum(line.money.amounts.get("USD", 0) for line in lines) == saves.amounts["USD"] == 12 * 240
    assert sum(line.money.unpriced for line in lines) == saves.unpriced == 1
    page_text = " ".join(re.sub("<[^>]*>", " ", text_of(shown)).split())
    assert "Departments Seats, saved per year J 2 , $480" in page_text and "B 1 D 1 , $240" in page_text
    # A transfer later changes nothing about the request, and a price after the decision nothing about its amounts.
    decide.approve(request, actor=bob)
    Subscription.objects.update(department="Other")
    assert client.get(address).context["departments"] == lines
