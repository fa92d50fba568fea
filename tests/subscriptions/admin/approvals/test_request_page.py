"""The page of a request: caps and who raises them, answers, consequences, and what a dry run shows."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.utils import timezone

from integrations.connectors.contract import TransientError
from subscriptions.approvals import decide
from subscriptions.approvals.dry_run import DryRun, Ending, PersonOutcome
from subscriptions.approvals.request import file_automatically, open_for_approval
from subscriptions.models import (
    DownloadRun,
    Reclaim,
    ReclaimRequest,
    ReclaimRule,
    RemovalCandidate,
    RequestedRemoval,
    Subscription,
)
from subscriptions.profiles import lifecycle
from tests.support.organization import page, questions, said
from tests.support.pages import text_of

OVER = "is for 3 people, and at most 2 may be reclaimed at once"


def url(act: str, request: ReclaimRequest) -> str:
    return page("reclaimrequest", act, request.pk)


@pytest.fixture
def capped(organization, alice) -> ReclaimRequest:
    """Asks for three where two are allowed."""
    ReclaimRule.objects.update(batch_cap_people=2)
    return organization.ask(alice)


@pytest.fixture
def collecting(organization, alice) -> ReclaimRequest:
    """Waits for the answers of its three people."""
    ReclaimRule.objects.update(notify_user=True)
    return organization.ask(alice)


# --- Caps -------------------------------------------------------------------------------------------------------------


def test_over_the_cap_the_button_is_off_and_says_why(capped, bob, as_user):
    shown = text_of(as_user(bob).get(url("change", capped)))

    assert OVER in shown and "<b>3</b> of 2 people" in shown and "Raise the cap to 3 people" in shown
    assert 'disabled aria-describedby="over-cap"' in shown
    assert OVER in said(as_user(bob).post(url("approve", capped)))
    assert not Reclaim.objects.exists()


def test_a_further_person_raises_the_cap_and_a_third_one_decides(capped, bob, admin_user, as_user):
    raised = as_user(bob).post(url("raise_cap", capped), {"cap_reason": "The contract ends"})

    assert f"The cap of {capped} is raised to 3 people" in said(raised)
    own = text_of(as_user(bob).get(url("change", capped)))
    assert "You raised the cap of this request" in own and "Approve 3 seats" not in own
    assert "You raised the cap" in said(as_user(bob).post(url("approve", capped)))
    shown = text_of(as_user(admin_user).get(url("change", capped)))
    assert "Cap raised to 3 by <strong>bob</strong>" in shown and "The contract ends" in shown
    assert "3 seats will be reclaimed" in said(as_user(admin_user).post(url("approve", capped)))


@pytest.mark.parametrize(("who", "sentence"), [("alice", "You made this request"), ("bob", "Say in a few words why")])
def test_who_cannot_raise_it_so(capped, request, as_user, who, sentence):
    answer = as_user(request.getfixturevalue(who)).post(url("raise_cap", capped), {"cap_reason": " "})

    assert sentence in said(answer)
    capped.refresh_from_db()
    assert (capped.cap, capped.cap_raised_by) == (2, None)


@pytest.mark.parametrize("who", ["carol", "dave"])
def test_raising_takes_the_permission(capped, request, as_user, who):
    client = as_user(request.getfixturevalue(who))

    assert client.post(url("raise_cap", capped), {"cap_reason": "mine"}).status_code == 403
    capped.refresh_from_db()
    assert capped.cap == 2


def test_a_reader_is_told_who_raises_caps(capped, carol, as_user):
    shown = text_of(as_user(carol).get(url("change", capped)))

    assert "Only an Approver or a Company admin can raise the cap." in shown and "Raise the cap…" not in shown


def test_a_rule_that_became_stricter_since_can_be_raised_too(organization, alice, bob, as_user):
    asked = organization.ask(alice)
    ReclaimRule.objects.update(batch_cap_people=2)

    assert "is raised to 3 people" in said(as_user(bob).post(url("raise_cap", asked), {"cap_reason": "As agreed"}))


def test_within_the_cap_nothing_is_raised(organization, alice, bob, as_user):
    asked = organization.ask(alice)

    assert "Within the caps" in text_of(as_user(bob).get(url("change", asked)))
    assert "is within its cap" in said(as_user(bob).post(url("raise_cap", asked), {"cap_reason": "To be sure"}))


def test_who_would_wait_for_the_rolling_cap(organization, alice, bob, as_user):
    ReclaimRule.objects.update(rolling_cap_percent=10)  # of 12 seats: 2

    shown = text_of(as_user(bob).get(url("change", organization.ask(alice))))

    assert "1 person will wait until the cap allows more" in shown and "<b>3</b> of 2" in shown
    assert "Approve 3 seats" in shown, "beyond the rolling cap people wait; they are not refused"


# --- Answers ----------------------------------------------------------------------------------------------------------


def test_while_people_are_asked(collecting, alice, bob, as_user):
    person = collecting.removals.first()
    RequestedRemoval.objects.filter(pk=person.pk).update(answer="keep", answered_at=timezone.now())

    shown = text_of(as_user(bob).get(url("change", collecting)))

    assert "Waiting for people" in shown and "The people are asked first. They can answer until" in shown
    assert "<b>1</b> of 3" in shown and "1 wants to keep the seat, 0 released it, 2 did not answer yet" in shown
    assert "You can decide when they have answered or their time is over." in shown and "Approve 3 seats" not in shown
    assert "Wants to keep it" in shown and "No answer yet" in shown
    assert "still waits for the answers" in said(as_user(bob).post(url("approve", collecting)))


def test_dropping_and_withdrawing_while_people_are_asked(collecting, alice, bob, as_user):
    person = collecting.removals.first()

    drop = page("reclaimrequest", "drop", collecting.pk, person.pk)
    assert "is dropped from" in said(as_user(bob).post(drop))
    assert "Withdraw the request" in text_of(as_user(alice).get(url("change", collecting)))
    assert "is withdrawn" in said(as_user(alice).post(url("withdraw", collecting)))
    assert RemovalCandidate.objects.filter(state="awaiting_user").count() == 0


def test_the_approver_sees_the_answers_and_who_wants_to_keep_first(collecting, bob, as_user):
    last = collecting.removals.last()
    RequestedRemoval.objects.filter(pk=last.pk).update(answer="keep", answered_at=timezone.now())
    open_for_approval(collecting)

    shown = text_of(as_user(bob).get(url("change", collecting)))

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

    shown = text_of(client.get(url("change", asked)))

    assert "Requested by <strong>LicenseHub, by schedule</strong>" in shown
    assert "LicenseHub, by schedule" in text_of(client.get(page("reclaimrequest", "changelist")))
    assert "seats will be reclaimed" in said(client.post(url("approve", asked)))


def test_a_request_that_repeats_a_send_in_doubt_says_so(organization, alice, bob, as_user):
    decide.approve(organization.ask(alice, count=1), actor=bob)
    doubt = Reclaim.objects.get()
    Reclaim.objects.update(state="in_doubt", read_back="active", sending_at=timezone.now())
    again = organization.ask(alice, count=1)
    ReclaimRequest.objects.filter(pk=again.pk).update(repeats=doubt)

    shown = text_of(as_user(bob).get(url("change", again)))

    assert "Repeats a send in doubt" in shown and "shows this person as active" in shown
    assert page("reclaim", "change", doubt.pk) in shown


# --- Consequences -----------------------------------------------------------------------------------------------------


def test_the_last_admin_of_a_team_is_named(organization, alice, bob, as_user):
    asked = organization.ask(alice)
    client = as_user(bob)
    assert "Last admin of a team: not checked." in text_of(client.get(url("change", asked)))

    DownloadRun.objects.update(team_admins_checked=True)
    assert "Nobody is the last admin of a team," in text_of(client.get(url("change", asked)))

    Subscription.objects.filter(name="Person 11").update(sole_admin_of="People Ops")
    shown = text_of(client.get(url("change", asked)))
    assert "1 is the last admin of a team." in shown and "Miro refuses until “People Ops” has another." in shown


def test_who_became_a_company_admin_is_counted(organization, alice, bob, as_user):
    asked = organization.ask(alice)
    assert "No company admins," in text_of(as_user(bob).get(url("change", asked)))

    Subscription.objects.filter(name="Person 11").update(reclaimable=False)
    assert "1 is a company admin or guest now." in text_of(as_user(bob).get(url("change", asked)))


def test_a_profile_that_is_paused_lets_nobody_decide(organization, alice, bob, as_user):
    asked = organization.ask(alice)
    lifecycle.pause(organization.profile, actor=bob)

    shown = text_of(as_user(bob).get(url("change", asked)))

    assert "Publish it before you request or approve." in shown and "Approve 3 seats" not in shown


def test_whose_own_seat_it_is_sees_no_button(organization, alice, bob, as_user):
    bob.email = "PERSON11@northwind.example"
    bob.save()

    shown = text_of(as_user(bob).get(url("change", organization.ask(alice))))

    assert "Your own seat is among these people" in shown and "Approve 3 seats" not in shown


def test_the_page_asks_no_question_per_answer(collecting, organization, alice, bob, as_user):
    many = organization.ask(alice, count=5)
    client = as_user(bob)

    assert questions(client, url("change", collecting)) == questions(client, url("change", many))


# --- Dry run ----------------------------------------------------------------------------------------------------------


@pytest.fixture
def tried(monkeypatch) -> list[object]:
    """What was tried; everybody would be held. subscriptions/approvals/test_dry_run.py has a sandbox."""
    calls: list[object] = []

    def record(what, *, limit: int) -> DryRun:
        calls.append(what)
        rows = [PersonOutcome(_item(person), Ending.HOLD, "Sending is stopped", "") for person in _people(what)]
        return DryRun(tuple(rows), left_out=7)

    monkeypatch.setattr("subscriptions.approvals.dry_run.try_request", record)
    monkeypatch.setattr("subscriptions.approvals.dry_run.try_candidates", record)
    monkeypatch.setattr("subscriptions.approvals.dry_run.try_queue", record)
    return calls


def _people(what) -> list[RequestedRemoval]:
    return list(what.removals.all()) if isinstance(what, ReclaimRequest) else []


def _item(person: RequestedRemoval) -> Reclaim:
    return Reclaim(removal=person, subscription=person.candidate.subscription)


@pytest.mark.parametrize("who", ["alice", "bob"])
def test_a_dry_run_of_a_request(organization, alice, request, as_user, tried, who):
    asked = organization.ask(alice)
    client = as_user(request.getfixturevalue(who))
    assert "Dry run" in text_of(client.get(url("change", asked)))

    shown = text_of(client.post(url("dry_run", asked)))

    assert tried == [asked]
    assert f"Dry run of {asked.number}" in shown and "Would wait: sending is stopped" in shown
    assert "The other 7 were not tried" in shown
    assert f"reclaim_subscriptions Northwind --dry-run --request {asked.number}" in shown


def test_a_dry_run_over_the_cap_says_so(capped, bob, as_user, tried):
    assert OVER in text_of(as_user(bob).post(url("dry_run", capped)))


def test_a_get_tries_nothing(organization, alice, bob, as_user, tried):
    asked = organization.ask(alice)

    response = as_user(bob).get(url("dry_run", asked))

    assert response.status_code == 302 and response["Location"] == url("change", asked)
    assert tried == []


@pytest.mark.parametrize("who", ["carol", "dave"])
def test_readers_try_nothing(organization, alice, request, as_user, tried, who):
    """A dry run asks Miro and keeps what it hears."""
    asked = organization.ask(alice)
    client = as_user(request.getfixturevalue(who))

    assert client.post(url("dry_run", asked)).status_code == 403
    assert tried == []


def test_what_stands_in_the_way_is_told_where_one_came_from(organization, alice, bob, as_user, monkeypatch):
    def away(*args, **kwargs):
        raise TransientError("Miro does not answer.")

    monkeypatch.setattr("subscriptions.approvals.dry_run.try_request", away)
    asked = organization.ask(alice)

    response = as_user(bob).post(url("dry_run", asked))

    assert response["Location"] == url("change", asked)
    assert said(response) == "Miro does not answer. Nothing was decided or sent."


def test_a_dry_run_of_candidates(organization, alice, as_user, tried):
    ReclaimRule.objects.update(batch_cap_people=2)
    chosen = list(RemovalCandidate.objects.filter(state="ready").values_list("pk", flat=True)[:3])

    answer = as_user(alice).post(
        page("removalcandidate", "changelist"),
        {"action": ["request_reclaim", "dry_run"], "index": "1", "select_across": "0", "_selected_action": chosen},
    )

    shown = text_of(answer)
    assert "Dry run of 3 seats" in shown and "3 people are more than the cap of 2" in shown
    assert not ReclaimRequest.objects.exists() and len(tried) == 1


def test_a_dry_run_of_the_queue(organization, alice, bob, as_user, tried, admin_user):
    decide.approve(organization.ask(alice), actor=bob)
    address = f"/admin/integrations/integrationprofile/{organization.profile.pk}/"

    assert f"{address}dry-run/" in text_of(as_user(admin_user).get(f"{address}change/"))
    assert "There is nobody to try" in text_of(as_user(admin_user).post(f"{address}dry-run/"))
    assert tried == [organization.profile]
    assert as_user(bob).post(f"{address}dry-run/").status_code == 403


def test_an_expired_one_offers_no_dry_run(organization, alice, bob, as_user):
    asked = organization.ask(alice)
    ReclaimRequest.objects.update(expires_at=timezone.now() - timedelta(minutes=1))

    assert "Dry run" not in text_of(as_user(bob).get(url("change", asked)))
