"""A person's address changes before or after the question: where it goes, and when silence and the old link count."""

from __future__ import annotations

from datetime import timedelta

import time_machine
from django.test import Client
from django.utils import timezone

from subscriptions import sweep
from subscriptions.admin.widgets.evidence import change_since
from subscriptions.approvals import decide
from subscriptions.approvals.request import request_reclaim
from subscriptions.models import Notice, ReclaimRequest, RemovalCandidate, RequestedRemoval, Subscription
from subscriptions.reclaims.engine import reclaim_due
from tests.support.people.notices import Asking, people, text_of

DAYS = timedelta(days=8)
NEW = "pat.married@northwind.example"


def moves(asking: Asking, person: RequestedRemoval, email: str = NEW) -> None:
    """The address changes at the vendor, and a download finds it."""
    asking.world.miro.change(person.evidence["external_id"], email=email)
    asking.world.download()


def test_the_question_and_the_reminder_go_to_todays_address(asking: Asking):
    request = asking.request(2)
    person, other = people(request)
    moves(asking, person)
    assert asking.hand_over() == 2
    assert sorted(asking.server.addresses()) == sorted([NEW, other.evidence["email"]])
    assert Notice.objects.get(removal=person, kind="ask").email == NEW

    sweep.repair()
    moves(asking, person, "pat.again@northwind.example")
    with time_machine.travel(timezone.now() + DAYS / 2 + timedelta(minutes=1), tick=True):
        assert asking.hand_over() == 2
    assert len(asking.server.to("pat.again@northwind.example")) == 1
    assert len(asking.server.to(NEW)) == 1


def test_silence_at_a_former_address_takes_no_seat(asking: Asking, alice):
    request = asking.asked(2)
    person, silent = people(request)
    moves(asking, person)
    until = ReclaimRequest.objects.get(pk=request.pk).answers_until
    with time_machine.travel(until + timedelta(minutes=1), tick=True):
        sweep.repair()

        for row in (request, person, silent):
            row.refresh_from_db()
        assert request.state == "open"
        assert "former address" in person.drop_reason and silent.dropped_at is None
        candidate = RemovalCandidate.objects.get(pk=person.candidate_id)
        assert (candidate.state, candidate.close_reason) == ("ready", "")
        assert Subscription.objects.get(pk=candidate.subscription_id).cooldown_until is None

        # Asked again at the new address, with all days.
        again = request_reclaim(RemovalCandidate.objects.filter(pk=candidate.pk), actor=alice)
        asking.hand_over()
        sweep.repair()
        again.refresh_from_db()
        assert len(asking.server.to(NEW)) == 1
        assert again.answers_until - Notice.objects.get(removal__request=again, kind="ask").sent_at == DAYS


def test_an_answer_counts_wherever_it_was_asked(asking: Asking):
    request = asking.asked(1)
    [person] = people(request)
    link = asking.link(person)
    moves(asking, person)
    sweep.repair()
    with time_machine.travel(timezone.now() + DAYS / 2 + timedelta(minutes=1), tick=True):
        asking.hand_over()
        former = text_of(Client().get(link))
        assert "I no longer need it" not in former and NEW not in former
        refused = Client().post(link, {"answer": "release"})
        assert refused.status_code == 409 and "not yours any more" in text_of(refused)
        person.refresh_from_db()
        assert person.answer == ""

        [mail] = asking.server.to(NEW)
        page = Client().get(mail_link(mail))
        assert NEW in text_of(page)
        assert Client().post(mail_link(mail), {"answer": "release"}).status_code == 303
        person.refresh_from_db()
        assert person.answer == "release"
        # From the former mailbox: nobody loses a seat by a Keep.
        assert Client().post(link, {"answer": "keep"}).status_code == 303
        person.refresh_from_db()
        assert person.answer == "keep"


def mail_link(mail) -> str:
    from tests.support.people.notices import LINK

    return LINK.search(mail.get_body(("plain",)).get_content()).group(1)


def test_a_change_of_the_address_after_the_approval_stops_the_send(asking: Asking, bob):
    """The recheck finds it, seconds before the send."""
    request = asking.asked(2)
    person, silent = people(request)
    until = ReclaimRequest.objects.get(pk=request.pk).answers_until
    with time_machine.travel(until + timedelta(minutes=1), tick=True):
        sweep.repair()
        request.refresh_from_db()
        decide.approve(request, actor=bob)
        asking.world.miro.change(person.evidence["external_id"], email=NEW)
        tally = reclaim_due(asking.world.profile)

    assert (tally.reclaimed, tally.skipped) == (1, 1)
    assert asking.world.deactivated_by_us() == [silent.evidence["external_id"]]
    candidate = RemovalCandidate.objects.select_related("subscription__evaluation").get(pk=person.candidate_id)
    assert candidate.state == "ready"
    assert person.candidate.subscription.reclaims.get().outcome.startswith("Not sent: the address of this person")
    change = change_since(candidate, candidate.evidence)
    assert (change.text, change.changed) == ("Another address", True)


def test_a_former_name_is_shown_with_that_of_today(asking: Asking, alice, bob):
    request = asking.request(2)
    person, _ = people(request)
    moves(asking, person)
    Subscription.objects.filter(pk=person.candidate.subscription_id).update(name="Pat Married")
    client = Client()
    client.force_login(bob)
    for page in (f"reclaimrequest/{request.pk}", f"removalcandidate/{person.candidate_id}"):
        shown = text_of(client.get(f"/admin/subscriptions/{page}/change/"))
        assert f"ow: Pat Married, {NEW}" in shown, page
        assert "Another address" in shown
