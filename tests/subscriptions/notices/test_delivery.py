"""The mail as an act outside, against a real mail server that takes, delays, refuses, and loses its answers."""

from __future__ import annotations

import pkgutil
from datetime import timedelta

import pytest
import time_machine
from django.utils import timezone

from subscriptions import sweep
from subscriptions.candidates.actions import resume
from subscriptions.models import Notice, Subscription
from subscriptions.notices import outbox, transport
from tests.support.fixtures import actions
from tests.support.people.notices import Asking, candidate_of, due_again, lease_over, not_reached, people, states
from tests.support.servers import mail_server as smtp


class Killed(BaseException):
    """SIGKILL, as far as one process can show it."""


def test_each_person_gets_one_mail_with_a_link(asking: Asking):
    request = asking.request(3)

    assert asking.hand_over() == 3

    assert sorted(asking.server.addresses()) == sorted(person.evidence["email"] for person in people(request))
    assert states(request) == ["sent"] * 3
    assert all(notice.sent_at for notice in Notice.objects.all())
    done = actions()
    assert done.count("notice.sending") == done.count("notice.sent") == 3
    assert asking.hand_over() == 0
    assert len(asking.server.mails) == 3


def test_the_mail(asking: Asking):
    [person] = people(asking.asked(1))
    [mail] = asking.server.mails
    text, html = mail.get_body(("plain",)).get_content(), mail.get_body(("html",)).get_content()

    assert mail["Subject"] == "Do you still need your Miro license?"
    assert mail["Reply-To"] == "itam@northwind.example"
    assert mail["Auto-Submitted"] == "auto-generated"
    for words in (text, html):
        assert asking.link(person) in words
        assert "Your boards stay." in words
        assert "You can no longer sign in to Miro" in words
        assert "You can get it back" in words
        assert "you are not asked again for 60 days" in words
        assert f"{Notice.objects.get(kind='ask').sent_at + timedelta(days=8):%b}" in words


def test_names_are_text_in_a_mail(asking: Asking):
    asking.request(1)
    Subscription.objects.update(given_name="<b>Bobby</b>\nBcc: all@northwind.example")

    assert asking.hand_over() == 1

    [mail] = asking.server.mails
    assert mail["Bcc"] is None
    assert "<b>Bobby" not in mail.get_body(("html",)).get_content()
    assert "<b>Bobby</b>" in mail.get_body(("plain",)).get_content()


@pytest.mark.parametrize("mode", [smtp.BUSY, smtp.BUSY_AFTER])
def test_a_server_that_is_busy_is_asked_again_with_growing_waits(asking: Asking, mode):
    request = asking.request(1)
    asking.server.mode = mode
    waits = []
    for _ in range(outbox.MAX_TRIES - 1):
        assert asking.hand_over() == 0
        waits.append(Notice.objects.get().due_at - timezone.now())
        assert states(request) == ["due"]
        assert asking.hand_over() == 0
        due_again()

    asking.server.mode = smtp.ACCEPT
    assert asking.hand_over() == 1

    assert waits == sorted(waits)
    assert waits[-1] > timedelta(hours=47)
    assert len(asking.server.mails) == 1
    assert states(request) == ["sent"]


def test_a_server_that_stays_busy_does_not_hold_the_request_for_ever(asking: Asking):
    request = asking.request(1)
    asking.server.mode = smtp.BUSY
    for _ in range(outbox.MAX_TRIES):
        asking.hand_over()
        due_again()
    sweep.repair()

    assert asking.server.mails == []
    assert states(request) == ["failed"]
    not_reached(people(request)[0])
    request.refresh_from_db()
    assert request.state == "empty"


@pytest.mark.parametrize("mode", [smtp.NOBODY, smtp.REFUSE_AFTER])
def test_whom_the_server_refuses_for_good_is_dropped_and_a_person_looks(asking: Asking, mode, bob):
    request = asking.request(2)
    lost, reached = people(request)
    asking.server.modes[lost.evidence["email"]] = mode

    assert asking.hand_over() == 1

    not_reached(lost)
    assert "The mail server answered: 55" in candidate_of(lost).attention
    reached.refresh_from_db()
    assert reached.dropped_at is None
    assert states(request) == ["failed", "sent"]
    assert {"notice.failed", "request.person_dropped", "candidate.needs_attention"} <= set(actions())
    due_again()
    assert asking.hand_over() == 0

    resume(candidate_of(lost), actor=bob)
    assert candidate_of(lost).state == "ready"


@pytest.mark.parametrize("email", ["", "no address", "a@b\nBcc: all@northwind.example"])
def test_without_an_address_nothing_is_handed_over(asking: Asking, email):
    request = asking.request(1)
    Subscription.objects.filter(pk=people(request)[0].candidate.subscription_id).update(email=email)

    assert asking.hand_over() == 0

    assert asking.server.connections == 0
    not_reached(people(request)[0])


def test_a_server_that_refuses_us_is_no_fact_about_a_person(asking: Asking):
    request = asking.request(3)
    asking.server.mode = smtp.NOT_YOU

    assert asking.hand_over() == 0

    assert states(request) == ["due"] * 3
    assert {notice.used_tries for notice in Notice.objects.all()} == {0}
    assert asking.server.connections == 1


@pytest.mark.parametrize("mode", [smtp.NOT_YOU, smtp.NO_LOGIN, smtp.QUOTA, smtp.POLICY])
def test_a_server_that_refuses_us_for_a_day_costs_no_mail_a_try(asking: Asking, mode):
    request = asking.request(2)
    asking.server.mode = mode
    for _ in range(3 * outbox.MAX_TRIES):
        assert asking.hand_over() == 0
        due_again()
    assert states(request) == ["due"] * 2

    asking.server.mode = smtp.ACCEPT
    assert asking.hand_over() == 2


def test_the_control_that_counts_tries_loses_people(asking: Asking, monkeypatch):
    request = asking.request(2)
    asking.server.mode = smtp.QUOTA
    monkeypatch.setattr(Notice, "used_tries", property(lambda notice: notice.tries))
    monkeypatch.setattr("subscriptions.notices.transport.failure_of", lambda error: outbox.Failure.LATER)
    for _ in range(outbox.MAX_TRIES):
        asking.hand_over()
        due_again()
    assert states(request) == ["failed"] * 2


def test_a_rule_that_refuses_one_reader_stops_nobody_else(asking: Asking):
    """A refused first mail may be about the sender. After a mail that was taken, the refusal is about its reader."""
    request = asking.request(3)
    restricted = people(request)[0]
    asking.server.modes[restricted.evidence["email"]] = smtp.POLICY

    assert asking.hand_over() == 0
    assert states(request) == ["due"] * 3
    with time_machine.travel(timezone.now() + outbox.RETRY_DELAY, tick=True):
        assert asking.hand_over() == 2
    with time_machine.travel(timezone.now() + 2 * outbox.RETRY_DELAY, tick=True):
        other = people(asking.request(1))[0]
        due_again()
        Notice.objects.filter(removal=other).update(due_at=timezone.now() - timedelta(days=1))
        assert asking.hand_over() == 1

    not_reached(restricted)


def test_one_connection_for_many_mails(asking: Asking):
    asking.request(4)
    assert asking.hand_over() == 4
    assert asking.server.connections == 1


def test_a_server_that_closes_a_connection_between_mails_leaves_no_doubt(asking: Asking):
    request = asking.request(5)
    asking.server.max_per_connection = 2
    assert asking.hand_over() == 5
    assert states(request) == ["sent"] * 5
    assert asking.server.connections == 3


def test_a_server_that_cannot_be_reached_is_one_try_for_everybody(asking: Asking, settings):
    request = asking.request(3)
    port, settings.EMAIL_PORT = settings.EMAIL_PORT, 1

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("tests.support.guards.network._is_allowed", lambda host, port: True)
        assert asking.hand_over() == 0

    assert states(request) == ["due"] * 3
    assert "could not be reached" in Notice.objects.first().problem
    assert "notice.sending" not in actions()
    settings.EMAIL_PORT = port
    due_again()
    assert asking.hand_over() == 3


@pytest.mark.parametrize("mode", [smtp.CLOSE_AFTER, smtp.CLOSE_BEFORE])
def test_a_lost_answer_is_a_doubt_and_never_a_second_mail(asking: Asking, mode):
    request = asking.request(2)
    doubt, other = people(request)
    asking.server.modes[doubt.evidence["email"]] = mode

    assert asking.hand_over() == 0
    assert states(request) == ["in_doubt", "due"]
    not_reached(doubt)
    asking.server.modes.clear()
    for _ in range(3):
        due_again()
        asking.hand_over()
        sweep.repair()

    assert len(asking.server.to(doubt.evidence["email"])) == (mode == smtp.CLOSE_AFTER)
    assert len(asking.server.to(other.evidence["email"])) == 1


def test_the_control_a_doubt_that_is_tried_again_mails_twice(asking: Asking, monkeypatch):
    request = asking.request(1)
    monkeypatch.setattr(transport, "failure_of", lambda error: outbox.Failure.LATER)
    asking.server.mode = smtp.CLOSE_AFTER
    asking.hand_over()
    asking.server.mode = smtp.ACCEPT
    due_again()
    asking.hand_over()

    assert len(asking.server.to(people(request)[0].evidence["email"])) == 2


def test_what_the_server_does_at_the_farewell_changes_nothing(asking: Asking):
    request = asking.request(2)
    asking.server.mode = smtp.CLOSE_AT_QUIT

    assert asking.hand_over() == 2

    assert states(request) == ["sent", "sent"]


KILLS = {
    "before the intent": ("subscriptions.notices.outbox.Outbox.commit_intent", False, "due", 0),
    "after the intent": ("subscriptions.notices.transport.refuse_inside_transaction", False, "in_doubt", 0),
    "in the hand-over": ("licensehub.outbound.smtp.EmailBackend._send", True, "in_doubt", 1),
    "before the outcome": ("subscriptions.notices.outbox.Outbox.commit_sent", False, "in_doubt", 1),
    "after the outcome": ("subscriptions.notices.outbox.Outbox.commit_sent", True, "sent", 1),
}


@pytest.mark.parametrize("step", KILLS)
def test_killed_at_each_step_nobody_is_mailed_twice(asking: Asking, monkeypatch, step):
    place, after, state, mails = KILLS[step]
    request = asking.request(1)
    [person] = people(request)
    lived = kill_at(monkeypatch, place, after=after)
    with pytest.raises(Killed):
        asking.hand_over()
    monkeypatch.setattr(place, lived)

    assert asking.hand_over() == (state == "due")
    lease_over()
    for _ in range(2):
        sweep.repair()
        due_again()
        asking.hand_over()

    assert len(asking.server.to(person.evidence["email"])) == max(mails, state == "due")
    person.refresh_from_db()
    if state == "in_doubt":
        assert states(request) == ["in_doubt"]
        not_reached(person)
    else:
        assert states(request) == ["sent"]
        assert person.dropped_at is None


def kill_at(monkeypatch, place: str, *, after: bool):
    """The process dies before or after this function. Returns the function."""
    lived = pkgutil.resolve_name(place)

    def killed(*args, **named):
        if after:
            lived(*args, **named)
        raise Killed

    monkeypatch.setattr(place, killed)
    return lived


def test_a_dead_hand_over_leaves_somebody_who_answered(asking: Asking, monkeypatch):
    """The mail has come, whatever the process saw of it."""
    request = asking.request(1)
    [person] = people(request)
    kill_at(monkeypatch, "subscriptions.notices.outbox.Outbox.commit_sent", after=False)
    with pytest.raises(Killed):
        asking.hand_over()
    asking.says(person, "release")
    lease_over()
    sweep.repair()

    person.refresh_from_db()
    request.refresh_from_db()
    assert person.dropped_at is None
    assert request.state == "open"


def test_a_hand_over_that_outlives_its_lease_stays_a_doubt(asking: Asking, monkeypatch):
    request = asking.request(1)
    sent = outbox.Outbox.commit_sent

    def late(mails, notice):
        lease_over()
        sweep.repair()
        sent(mails, notice)

    monkeypatch.setattr(outbox.Outbox, "commit_sent", late)
    asking.hand_over()

    assert states(request) == ["in_doubt"]
    assert len(asking.server.mails) == 1
    assert "notice.sent" not in actions()


def test_a_sweep_leaves_a_hand_over_that_is_under_way_alone(asking: Asking, monkeypatch):
    request = asking.request(1)
    sent = outbox.Outbox.commit_sent

    def swept_before(mails, notice):
        sweep.repair()
        sent(mails, notice)

    monkeypatch.setattr(outbox.Outbox, "commit_sent", swept_before)
    asking.hand_over()

    assert states(request) == ["sent"]


def test_two_workers_at_once_hand_over_one_mail(asking: Asking, monkeypatch):
    """Both found it due; the claim is of one."""
    asking.request(1)
    commit = outbox.Outbox.commit_intent

    def late(mails, notice):
        monkeypatch.setattr(outbox.Outbox, "commit_intent", commit)
        assert asking.hand_over() == 1
        return commit(mails, notice)

    monkeypatch.setattr(outbox.Outbox, "commit_intent", late)
    asking.hand_over()

    assert len(asking.server.mails) == 1


def test_no_mail_stands_inside_a_transaction(asking: Asking):
    from django.db import transaction

    from integrations.transaction_guard import CallInTransaction

    asking.request(1)
    with pytest.raises(CallInTransaction), transaction.atomic():
        asking.hand_over()
    assert asking.server.mails == []
