"""Asked, answered or silent, approved, sent: the whole way against the sandbox and a real mail server."""

from __future__ import annotations

from datetime import timedelta

import pytest
import time_machine
from django.utils import timezone

from subscriptions import sweep
from subscriptions.approvals import collecting, decide
from subscriptions.approvals.closing import drop
from subscriptions.approvals.request import open_for_approval
from subscriptions.models import Notice, NoticeState, ReclaimRequest, ReclaimRule, RequestedRemoval
from subscriptions.reclaims.engine import reclaim_due
from tests.support.fixtures import actions
from tests.support.people.notices import Asking, due_again, people, states
from tests.support.servers import mail_server as smtp

DAYS = timedelta(days=8)


def fresh(request: ReclaimRequest) -> ReclaimRequest:
    return ReclaimRequest.objects.get(pk=request.pk)


def test_keep_release_and_silence(asking: Asking, bob):
    request = asking.asked(3)
    keeps, releases, silent = people(request)
    asking.says(keeps, "keep")
    asking.says(releases, "release")
    sweep.repair()
    assert fresh(request).state == "collecting"

    with time_machine.travel(fresh(request).answers_until + timedelta(minutes=1), tick=True):
        sweep.repair()
        assert fresh(request).state == "open"
        assert fresh(request).expires_at > timezone.now() + timedelta(hours=71)
        assert decide.approve(fresh(request), actor=bob) == 2
        assert reclaim_due(asking.world.profile).reclaimed == 2

    gone = {releases.evidence["external_id"], silent.evidence["external_id"]}
    assert set(asking.world.deactivated_by_us()) == gone
    assert keeps.evidence["external_id"] not in asking.world.inactive()
    done = actions()
    assert done.index("request.person_answered") < done.index("request.ready") < done.index("request.approved")


def test_a_request_opens_as_soon_as_everybody_has_answered(asking: Asking):
    request = asking.asked(2)
    for person in people(request):
        asking.says(person, "release")
    sweep.repair()

    assert fresh(request).state == "open"
    assert states(request, "reminder") == ["canceled", "canceled"]
    assert open_for_approval(request) is False
    assert actions().count("request.ready") == 1


def test_everybody_keeps(asking: Asking):
    request = asking.asked(2)
    for person in people(request):
        asking.says(person, "keep")
    sweep.repair()

    assert fresh(request).state == "empty"


def test_the_days_count_from_the_last_hand_over(asking: Asking):
    request = asking.request(2)
    slow, _ = people(request)
    asking.server.modes[slow.evidence["email"]] = smtp.BUSY
    asking.hand_over()
    sweep.repair()
    assert states(request, "reminder") == []
    asking.server.modes.clear()

    with time_machine.travel(timezone.now() + timedelta(days=2), tick=True):
        due_again()
        asking.hand_over()
        sweep.repair()
        last = Notice.objects.get(removal=slow, kind="ask").sent_at
        assert fresh(request).answers_until == last + DAYS
        assert set(Notice.objects.filter(kind="reminder").values_list("due_at", flat=True)) == {last + DAYS / 2}
        sweep.repair()
        assert fresh(request).answers_until == last + DAYS
    with time_machine.travel(last + DAYS - timedelta(minutes=1), tick=True):
        sweep.repair()
        assert fresh(request).state == "collecting"
    with time_machine.travel(last + DAYS, tick=True):
        sweep.repair()
        assert fresh(request).state == "open"


def test_a_rule_that_changes_meanwhile_does_not_shorten_what_was_promised(asking: Asking):
    request = asking.request(1)
    ReclaimRule.objects.update(days_to_answer=1, notify_user=False)
    asking.hand_over()
    sweep.repair()

    assert fresh(request).answers_until == Notice.objects.get(kind="ask").sent_at + DAYS


def test_the_reminder_comes_half_way_and_once_for_those_who_are_silent(asking: Asking):
    request = asking.asked(2)
    answered, silent = people(request)
    asking.says(answered, "release")
    start = fresh(request).answers_until - DAYS

    with time_machine.travel(start + DAYS / 2 - timedelta(minutes=1), tick=True):
        sweep.repair()
        assert asking.hand_over() == 0
    with time_machine.travel(start + DAYS / 2, tick=True):
        sweep.repair()
        assert asking.hand_over() == 1
        assert asking.hand_over() == 0
        asking.says(silent, "release")

    assert states(request, "reminder") == ["canceled", "sent"]
    [question, reminder] = asking.server.to(silent.evidence["email"])
    assert reminder["Subject"] == "Reminder: do you still need your Miro license?"
    assert len(asking.server.to(answered.evidence["email"])) == 1
    assert question["Message-ID"] != reminder["Message-ID"]


@pytest.mark.parametrize("mode", [smtp.NOBODY, smtp.CLOSE_AFTER, smtp.BUSY])
def test_a_lost_reminder_takes_nobody_out_and_holds_nobody_up(asking: Asking, mode):
    request = asking.asked(1)
    [person] = people(request)
    until = fresh(request).answers_until
    asking.server.mode = mode
    with time_machine.travel(until - DAYS / 2, tick=True):
        asking.hand_over()
    with time_machine.travel(until, tick=True):
        sweep.repair()
        sweep.repair()

    person.refresh_from_db()
    assert person.dropped_at is None
    assert fresh(request).state == "open"
    assert NoticeState(states(request, "reminder")[0]) in ("failed", "in_doubt", "canceled")


def test_nobody_is_silent_who_was_not_asked(asking: Asking):
    """However the days go by: without a mail that was handed over there is no silence."""
    request = asking.request(2)
    slow, _ = people(request)
    asking.server.modes[slow.evidence["email"]] = smtp.BUSY
    asking.hand_over()

    with time_machine.travel(timezone.now() + timedelta(days=6), tick=True):
        sweep.repair()
        assert fresh(request).state == "collecting"
    with time_machine.travel(timezone.now() + timedelta(days=7, hours=1), tick=True):
        sweep.repair()
        assert states(request) == ["failed", "sent"]
        assert fresh(request).state == "collecting"
    with time_machine.travel(timezone.now() + timedelta(days=9), tick=True):
        sweep.repair()
    opened = fresh(request)
    assert opened.state == "open"
    assert opened.removals.not_dropped().exclude(notices__kind="ask", notices__state="sent").count() == 0
    slow.candidate.refresh_from_db()
    assert slow.candidate.state == "attention_required"


def test_the_control_without_the_question_who_was_asked_a_request_opens_with_somebody_unasked(
    asking: Asking, monkeypatch
):
    from django.db.models import Q

    request = asking.request(2)
    slow, _ = people(request)
    asking.server.modes[slow.evidence["email"]] = smtp.BUSY
    asking.hand_over()
    monkeypatch.setattr(collecting, "_was_asked", lambda: Q(pk__gt=0))

    sweep.repair()
    with time_machine.travel(timezone.now() + timedelta(days=9), tick=True):
        collecting.close_collections()

    assert fresh(request).state == "open"
    assert RequestedRemoval.objects.not_dropped().filter(pk=slow.pk).exists()


def test_who_is_dropped_by_hand_does_not_hold_the_others_up(asking: Asking, alice):
    request = asking.request(2)
    slow, other = people(request)
    asking.server.modes[slow.evidence["email"]] = smtp.BUSY
    asking.hand_over()
    drop(slow, actor=alice, reason="On leave")
    sweep.repair()

    assert states(request) == ["canceled", "sent"]
    assert fresh(request).answers_until == Notice.objects.get(removal=other, kind="ask").sent_at + DAYS


def test_nobody_can_approve_while_people_are_asked(asking: Asking, bob):
    from subscriptions.errors import NotActionable

    request = asking.asked(1)
    with pytest.raises(NotActionable, match="still waits for the answers"):
        decide.approve(request, actor=bob)


def test_two_sweeps_at_once_start_the_days_once(asking: Asking):
    request = asking.asked(1)
    until = fresh(request).answers_until
    stale = ReclaimRequest.objects.get(pk=request.pk)

    assert collecting._move_on(stale) is False
    assert fresh(request).answers_until == until
    assert len(states(request, "reminder")) == 1
