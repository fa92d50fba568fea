"""Rare cases: rows that are there twice, clicks that come too late, hours that a spring leaves out."""

from __future__ import annotations

import threading
from datetime import UTC, datetime, time, timedelta

import pytest
import time_machine
from django.contrib.auth.models import User
from django.db import connection
from django.urls import reverse
from django.utils import timezone
from django_celery_beat.models import CrontabSchedule, PeriodicTask

from integrations.models import IntegrationProfile
from licensehub.audit.models import AuditEvent
from subscriptions import tasks
from subscriptions.admin.profiles import actions
from subscriptions.approvals import decide
from subscriptions.approvals.request import request_reclaim
from subscriptions.errors import NotActionable
from subscriptions.models import DownloadRun, Reclaim
from subscriptions.profiles import lifecycle
from subscriptions.reclaims.engine import reclaim_due
from subscriptions.schedules import occurrences, schedules
from subscriptions.schedules.schedules import DOWNLOAD_TASK, RECLAIM_TASK

NOON = datetime(2027, 1, 10, 12, tzinfo=UTC)


def address(profile: IntegrationProfile, subflow: str) -> str:
    return reverse("admin:integrations_integrationprofile_schedule", args=[profile.pk, subflow])


def nightly(profile: IntegrationProfile) -> None:
    """Published, its first download made, and due at 02:00 UTC from now on."""
    lifecycle.publish(profile, actor=None)
    schedules.change_schedule(profile, DOWNLOAD_TASK, schedules.daily_plan(at=time(2), zone="UTC"), actor=None)
    tasks.sweep()


def test_two_crontabs_of_the_same_values_do_no_harm(profile):
    """Nothing in the table forbids them: two beats that start at once both make the one of Celery's own clean-up."""
    plan = schedules.daily_plan(at=time(4), zone="UTC")
    values = {"minute": "0", "hour": "4", "timezone": "UTC"}
    CrontabSchedule.objects.bulk_create([CrontabSchedule(**values), CrontabSchedule(**values)])
    schedules.change_schedule(profile, DOWNLOAD_TASK, plan, actor=None)
    assert schedules.words_of(schedules.task_of(profile, DOWNLOAD_TASK)) == "Every day at 04:00 UTC"


def test_a_click_that_comes_after_the_start_asks_for_no_second_run(profile):
    with time_machine.travel(NOON, tick=False):
        lifecycle.publish(profile, actor=None)
        lifecycle.make_download_due(profile, actor=None)
        DownloadRun.objects.create(profile=profile, started_by="person", lease_until=NOON + timedelta(seconds=90))
        with pytest.raises(NotActionable, match="is running"):
            lifecycle.make_download_due(profile, actor=None)


def test_a_hundred_clicks_on_the_page_are_one_run(profile, operator, monkeypatch):
    """The worker is busy while the clicks come in; then it runs every task."""
    workers_called = []
    with time_machine.travel(NOON, tick=False) as clock:
        nightly(profile)
        clock.shift(timedelta(minutes=5))
        monkeypatch.setattr(tasks.download_due, "delay", lambda *args: workers_called.append(args))
        operator.force_login(User.objects.get(username="olivia"))  # the session before ended long ago
        button = reverse("admin:integrations_integrationprofile_action", args=[profile.pk, "download"])
        for _ in range(100):
            assert operator.post(button).status_code == 302
        for args in workers_called:
            tasks.download_due(*args)
        tasks.sweep()
    assert len(workers_called) == 100
    assert profile.download_runs.filter(started_by="person").count() == 1
    assert profile.download_runs.count() == 2


def test_two_beats_that_look_before_either_writes_make_one_run(real_transactions, profile, monkeypatch):
    """Both find the slot unserved: the database alone keeps them apart."""
    with time_machine.travel(NOON, tick=False) as clock:
        nightly(profile)
        clock.shift(timedelta(hours=14))
        slot = schedules.due_slot(profile)
        monkeypatch.setattr(tasks, "due_slot", lambda profile: slot)
        ended: list[int] = []

        def start() -> None:
            try:
                tasks.download_daily(profile.pk)
                ended.append(profile.pk)
            finally:
                connection.close()

        beats = [threading.Thread(target=start) for _ in range(6)]
        for beat in beats:
            beat.start()
        for beat in beats:
            beat.join()
    assert len(ended) == 6
    assert profile.download_runs.filter(slot=slot).count() == 1
    assert profile.download_runs.count() == 2


def test_a_profile_that_works_again_catches_up_once(profile):
    with time_machine.travel(NOON, tick=False) as clock:
        nightly(profile)
        lifecycle.pause(profile, actor=None)
        clock.shift(timedelta(days=3))
        tasks.sweep()
        assert profile.download_runs.count() == 1
        lifecycle.unpause(profile, actor=None)
        for _ in range(3):
            tasks.sweep()
    assert profile.download_runs.count() == 2


def test_storing_what_stands_already_changes_nothing(profile):
    """Above all, it does not drop a slot that is still to be served."""
    with time_machine.travel(NOON, tick=False) as clock:
        nightly(profile)
        events = AuditEvent.objects.filter(action="profile.schedule_changed").count()
        clock.shift(timedelta(days=1))
        slot = schedules.due_slot(profile)
        schedules.change_schedule(profile, DOWNLOAD_TASK, schedules.daily_plan(at=time(2), zone="UTC"), actor=None)
        assert schedules.due_slot(profile) == slot is not None
    assert AuditEvent.objects.filter(action="profile.schedule_changed").count() == events


# --- The window -------------------------------------------------------------------------------------------------------


@pytest.mark.django_db
def test_a_weekly_hour_that_the_spring_leaves_out_opens_a_week_later():
    """Sunday, 02:00 to 03:00 in Berlin is not there on 28 March 2027."""
    sunday = schedules.window_plan(start=2, end=3, weekdays=frozenset({0}), zone="Europe/Berlin").crontab()
    monday_before = datetime(2027, 3, 22, 8, tzinfo=UTC)
    assert occurrences.opens_at(sunday, monday_before) == datetime(2027, 4, 4, 0, tzinfo=UTC)


@pytest.mark.django_db
@pytest.mark.parametrize("zone", ["Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Asia/Kolkata"])
def test_a_window_opens_at_its_wall_time_on_each_day_of_two_years(zone):
    """Over four changes of clocks: what `opens_at` promises is the first moment that `is_open` allows."""
    row = schedules.window_plan(start=8, end=18, zone=zone).crontab()
    now = datetime(2026, 9, 1, tzinfo=UTC)
    while now < datetime(2028, 9, 1, tzinfo=UTC):
        opens = occurrences.opens_at(row, now)
        if opens:
            local = opens.astimezone(occurrences.zone_of(row))
            assert (local.hour, local.minute) == (8, 0)
            assert not occurrences.is_open(row, opens - timedelta(seconds=1))
        now += timedelta(hours=7)


@pytest.mark.usefixtures("window_closes_after_the_claim")
def test_what_a_closing_window_holds_waits_until_it_opens(world, alice, bob, monkeypatch):
    """It closed between the claim and the send."""
    world.first_download()
    decide.approve(request_reclaim(world.candidates(1), actor=alice), actor=bob)
    opens = timezone.now() + timedelta(hours=9)
    monkeypatch.setattr("subscriptions.reclaims.holds.window_opens_at", lambda profile: opens)
    reclaim_due(world.profile)
    [item] = Reclaim.objects.all()
    assert (item.state, item.hold_reason) == ("queued", "window")
    assert abs(item.not_before - opens) < timedelta(seconds=5)
    assert world.deactivated_by_us() == []


def test_run_now_says_when_the_window_opens(world, alice, bob):
    world.first_download()
    decide.approve(request_reclaim(world.candidates(1), actor=alice), actor=bob)
    later = (timezone.now().hour + 12) % 24
    plan = schedules.window_plan(start=later, end=later + 1, zone="UTC")
    schedules.change_schedule(world.profile, RECLAIM_TASK, plan, actor=None)
    assert actions.no_reclaim(world.profile).startswith("The reclaim window opens ")
    schedules.switch_schedule(world.profile, RECLAIM_TASK, enabled=False, actor=None)
    assert actions.no_reclaim(world.profile) == "The reclaim schedule is paused."


# --- The form ---------------------------------------------------------------------------------------------------------


def test_an_empty_window_is_refused(profile, operator):
    """08:00 to 08:00 might be read as no hour or as all of them; nobody should lose a seat to that."""
    lifecycle.publish(profile, actor=None)
    form = {"weekdays": ["1"], "start": "8", "end": "8", "zone": "UTC"}
    text = operator.post(address(profile, "reclaim"), form).content.decode()
    assert "For the whole day, choose 00:00 to 24:00" in text
    assert schedules.words_of(schedules.task_of(profile, RECLAIM_TASK)) == "At any time"


@pytest.mark.parametrize("subflow", ["download", "reclaim"])
def test_a_stranger_sees_no_schedule(profile, client, dave, subflow):
    client.force_login(dave)
    assert client.get(address(profile, subflow)).status_code == 403


@pytest.mark.parametrize("zone", ["Europe/Berlin", "Etc/UTC", "CET"])
@pytest.mark.parametrize("subflow", ["download", "reclaim"])
def test_a_draft_is_shown_the_zone_that_publishing_takes(profile, operator, settings, zone, subflow):
    """Also one that the list does not offer: opening and storing the form must not change it."""
    settings.TIME_ZONE = zone
    assert f'<option value="{zone}" selected>' in operator.get(address(profile, subflow)).content.decode()
    lifecycle.publish(profile, actor=None)
    assert {str(row.crontab.timezone) for row in PeriodicTask.objects.filter(name__contains="profile")} == {zone}
    assert f'<option value="{zone}" selected>' in operator.get(address(profile, subflow)).content.decode()
    form = {"weekdays": ["1"], "at": "06:30", "start": "1", "end": "2", "zone": zone}
    assert operator.post(address(profile, subflow), form).status_code == 302


@pytest.mark.django_db
def test_three_days_are_a_list():
    plan = schedules.daily_plan(at=time(2), weekdays=frozenset({1, 3, 5}), zone="UTC")
    assert schedules._daily_words(plan.crontab()) == "Monday, Wednesday and Friday at 02:00 UTC"
