"""The mail about approved reclaims that wait, since the vendor gives no clear answers to those before them."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest
import time_machine
from django.contrib.auth.models import User

from integrations import sending
from integrations.models import IntegrationProfile
from subscriptions import sweep
from subscriptions.approvals import decide
from subscriptions.models import Reclaim
from subscriptions.notifications import reclaim_conditions
from subscriptions.reclaims import lost_answers
from tests.support.fixtures import person
from tests.support.people.colleagues import NOON, Colleagues

SUBJECT = "Northwind: approved reclaims wait, since Miro gives no clear answers"


@pytest.fixture
def operator(db) -> User:
    return person("oscar", "Operator")


@pytest.fixture
def clock(colleagues):
    with time_machine.travel(NOON, tick=False) as moved:
        yield moved


@pytest.fixture
def approve(colleagues: Colleagues, alice, bob, clock):
    """Approve two people now."""
    return lambda: decide.approve(colleagues.ask(alice), actor=bob)


def hold(since: datetime, *, until: datetime) -> None:
    IntegrationProfile.objects.update(lost_answers=4, lost_answers_held_at=since, lost_answers_held_until=until)


def minutes(colleagues: Colleagues, clock, count: int, *, step: int = 5) -> None:
    """Let this time pass, with a sweep every `step` minutes."""
    for _ in range(count // step):
        clock.shift(timedelta(minutes=step))
        colleagues.minute()


def test_a_hold_that_lasts_has_one_mail(colleagues, approve, clock, operator):
    hold(NOON, until=NOON + timedelta(hours=2))
    minutes(colleagues, clock, 30)
    assert colleagues.subjects(operator) == [], "no reclaim waits"
    approve()
    minutes(colleagues, clock, 10)
    assert colleagues.subjects(operator) == [], "it may end by itself"
    minutes(colleagues, clock, 60)
    assert colleagues.subjects(operator) == [SUBJECT]
    text = colleagues.text(operator)
    assert "no clear answer to the last 4 reclaims" in text
    assert "have waited since Nov 26, 2026, 12:30" in text, "since the approval, not since the begin of the hold"
    assert "you run the profile" in text


def test_an_approval_long_after_a_hold_has_no_mail(colleagues, approve, clock, operator):
    """Its people are tried within a minute, or wait for something else."""
    hold(NOON - timedelta(days=3), until=NOON - timedelta(days=2))
    approve()
    minutes(colleagues, clock, 60)
    assert colleagues.subjects(operator) == []


@pytest.mark.parametrize(("guarded", "mails"), [(True, 1), (False, 3)], ids=["once", "control"])
def test_each_approval_in_one_hold_has_no_mail_of_its_own(
    colleagues, approve, clock, operator, monkeypatch, guarded, mails
):
    if not guarded:
        monkeypatch.setattr(reclaim_conditions, "_has_ended", lambda key: False)
    hold(NOON, until=NOON + timedelta(days=1))
    for _ in range(3):
        approve()
        minutes(colleagues, clock, 20)
        # The last ones were tried, and are in doubt.
        Reclaim.objects.unfinished().update(state="in_doubt")
        colleagues.minute()
    assert colleagues.subjects(operator) == [SUBJECT] * mails


def test_a_clock_that_is_set_back_makes_no_second_mail(colleagues, approve, clock, operator):
    hold(NOON, until=NOON + timedelta(days=1))
    approve()
    minutes(colleagues, clock, 15)
    clock.shift(timedelta(minutes=-5))
    colleagues.minute()
    minutes(colleagues, clock, 20)
    assert colleagues.subjects(operator) == [SUBJECT]


def test_a_second_hold_has_a_mail_of_its_own_also_without_a_sweep_between_them(colleagues, approve, clock, operator):
    hold(NOON, until=NOON + timedelta(hours=1))
    approve()
    minutes(colleagues, clock, 20)
    lost_answers.note_answer(Reclaim.objects.earliest("pk"))
    clock.shift(timedelta(hours=5))
    hold(NOON + timedelta(hours=5), until=NOON + timedelta(hours=6))
    minutes(colleagues, clock, 20)
    assert colleagues.subjects(operator) == [SUBJECT] * 2
    assert "since Nov 26, 2026, 17:00" in colleagues.text(operator)


def test_while_all_sending_is_stopped_the_vendor_is_not_blamed(colleagues, approve, clock, operator):
    hold(NOON, until=NOON + timedelta(hours=2))
    approve()
    sending.stop_all(actor=operator, reason="We look at the last batch.")
    minutes(colleagues, clock, 30)
    assert colleagues.subjects(operator) == []
    sending.allow_all(actor=operator)
    minutes(colleagues, clock, 5)
    assert colleagues.subjects(operator) == [SUBJECT]


def test_the_mail_ends_with_the_hold(colleagues, approve, clock, operator):
    """Nobody gets it later, e.g. in the mail of the day."""
    hold(NOON, until=NOON + timedelta(hours=1))
    approve()
    clock.shift(timedelta(minutes=20))
    sweep.notify()
    lost_answers.note_answer(Reclaim.objects.earliest("pk"))
    assert colleagues.minute() == 0 and colleagues.subjects(operator) == []
