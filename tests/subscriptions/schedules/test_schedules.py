"""Slots: beat, the sweep and people may start a download as often as they like; one run serves a slot."""

from __future__ import annotations

import io
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest
import time_machine
from django.core.management import call_command
from django.urls import reverse
from django.utils import timezone
from django_celery_beat.models import PeriodicTask
from django_celery_beat.schedulers import DatabaseScheduler

from integrations.installation import findings
from integrations.models import Connection, IntegrationProfile
from licensehub.audit.models import AuditEvent
from licensehub.celery import app
from subscriptions import sweep, tasks
from subscriptions.approvals import decide
from subscriptions.approvals.request import request_reclaim
from subscriptions.evidence import kept_packs
from subscriptions.models import Reclaim
from subscriptions.notifications import delivery as notifications
from subscriptions.notifications.accounts import rights_mail, token_mail
from subscriptions.profiles import lifecycle
from subscriptions.reclaims import backup_guard
from subscriptions.reclaims.engine import reclaim_due
from subscriptions.reconciliation import reconcile
from subscriptions.rules import evaluation
from subscriptions.schedules import schedules
from subscriptions.schedules.schedules import DOWNLOAD_TASK, RECLAIM_TASK
from subscriptions.webhooks import delivery as webhooks

ZONES = ["Europe/Berlin", "America/New_York", "Australia/Lord_Howe"]
CHANGES = {
    "Europe/Berlin": (date(2027, 3, 28), date(2027, 10, 31)),
    "America/New_York": (date(2027, 3, 14), date(2027, 11, 7)),
    "Australia/Lord_Howe": (date(2027, 10, 3), date(2027, 4, 4)),
}


def published(profile: IntegrationProfile, zone: str, at: time) -> None:
    lifecycle.publish(profile, actor=None)
    schedules.change_schedule(profile, DOWNLOAD_TASK, schedules.daily_plan(at=at, zone=zone), actor=None)


def scheduled(profile: IntegrationProfile) -> list[datetime | None]:
    return list(profile.download_runs.filter(started_by="schedule").order_by("slot").values_list("slot", flat=True))


@pytest.fixture
def only_downloads(monkeypatch) -> None:
    """The sweep looks for downloads only: what else it does has nothing to do here, and is asked hundreds of times."""
    steps = (
        "repair",
        "profiles_to_count",
        "profiles_to_ask",
        "profiles_to_reclaim",
        "notify",
        "tell_webhooks",
        "make_due",
        "count_all_candidates",
    )
    for name in steps:
        monkeypatch.setattr(tasks, name, list)
    for module, name in (
        (findings, "report_clock"),
        (backup_guard, "is_held"),
        (evaluation, "profiles_to_evaluate"),
        (reconcile, "profiles_asked_for"),
        (kept_packs, "packs_to_make"),
        (kept_packs, "remove_due"),
        (notifications, "anything_due"),
        (rights_mail, "anything_to_announce"),
        (token_mail, "anything_to_tell"),
        (webhooks, "anything_due"),
    ):
        monkeypatch.setattr(module, name, list)


@pytest.mark.usefixtures("only_downloads")
@pytest.mark.parametrize("zone", ZONES)
@pytest.mark.parametrize("change", [0, 1], ids=["first", "second"])
@pytest.mark.parametrize("caller", ["sweep", "beat"])
def test_one_run_for_each_day_over_a_change_of_clocks(profile, zone, change, caller):
    """The clock walks five days; the sweep, or beat, runs every ten minutes of the night and five times by day.

    What became due stays due until a run serves it, so a run too many by day would be seen at the next of these times.
    """
    day = CHANGES[zone][change]
    start = datetime.combine(day - timedelta(days=2), time(0), tzinfo=ZoneInfo(zone)).astimezone(UTC)
    with time_machine.travel(start, tick=False) as clock:
        published(profile, zone, time(2, 15))
        tasks.sweep()
        while (now := timezone.now()) < start + timedelta(days=5):
            night = now.astimezone(ZoneInfo(zone)).hour < 4
            clock.shift(timedelta(minutes=10 if night else 240))
            if caller == "sweep":
                tasks.sweep()
            else:
                tasks.download_daily(profile.pk)
    days = [slot.astimezone(ZoneInfo(zone)).date() for slot in scheduled(profile)]
    assert days == [day + timedelta(days=number) for number in range(-2, 3)]


def test_two_beats_start_it_twice_and_there_is_one_run(profile):
    with time_machine.travel(datetime(2027, 1, 10, 12, tzinfo=UTC), tick=False) as clock:
        published(profile, "UTC", time(2, 0))
        tasks.sweep()
        clock.shift(timedelta(hours=14))
        for _ in range(4):
            tasks.download_daily(profile.pk)
    assert scheduled(profile) == [datetime(2027, 1, 11, 2, tzinfo=UTC)]


def test_three_days_of_downtime_make_one_catch_up(profile):
    with time_machine.travel(datetime(2027, 1, 10, 12, tzinfo=UTC), tick=False) as clock:
        published(profile, "UTC", time(2, 0))
        tasks.sweep()
        clock.shift(timedelta(days=3))
        for _ in range(30):
            tasks.sweep()
            tasks.download_daily(profile.pk)
            clock.shift(timedelta(minutes=1))
    assert scheduled(profile) == [datetime(2027, 1, 13, 2, tzinfo=UTC)]


def test_a_run_by_hand_after_the_missed_slot_serves_it(profile):
    with time_machine.travel(datetime(2027, 1, 10, 12, tzinfo=UTC), tick=False) as clock:
        published(profile, "UTC", time(2, 0))
        tasks.sweep()
        clock.shift(timedelta(days=1))
        lifecycle.make_download_due(profile, actor=None)
        tasks.download_due(profile.pk)
        tasks.sweep()
    assert scheduled(profile) == []
    assert profile.download_runs.count() == 2


def test_a_hundred_clicks_are_one_run(profile):
    with time_machine.travel(datetime(2027, 1, 10, 12, tzinfo=UTC), tick=False) as clock:
        lifecycle.publish(profile, actor=None)
        tasks.sweep()
        clock.shift(timedelta(minutes=5))
        for _ in range(100):
            lifecycle.make_download_due(profile, actor=None)
        for _ in range(100):
            tasks.download_due(profile.pk)
    assert profile.download_runs.count() == 2


def test_a_changed_schedule_does_not_reach_back(profile):
    with time_machine.travel(datetime(2027, 1, 10, 12, tzinfo=UTC), tick=False) as clock:
        published(profile, "UTC", time(2, 0))
        tasks.sweep()
        clock.shift(timedelta(hours=22))  # 10:00, and today's 02:00 was missed
        schedules.change_schedule(profile, DOWNLOAD_TASK, schedules.daily_plan(at=time(9), zone="UTC"), actor=None)
        tasks.sweep()
    assert scheduled(profile) == []


def test_a_paused_schedule_starts_nothing(profile):
    with time_machine.travel(datetime(2027, 1, 10, 12, tzinfo=UTC), tick=False) as clock:
        published(profile, "UTC", time(2, 0))
        tasks.sweep()
        schedules.switch_schedule(profile, DOWNLOAD_TASK, enabled=False, actor=None)
        clock.shift(timedelta(days=2))
        tasks.sweep()
        tasks.download_daily(profile.pk)
        assert schedules.words_of(schedules.task_of(profile, DOWNLOAD_TASK)).endswith(", paused")
    assert scheduled(profile) == []


def test_a_broken_connection_is_not_knocked_at_each_minute(profile, monkeypatch):
    workers_called = []
    with time_machine.travel(datetime(2027, 1, 10, 12, tzinfo=UTC), tick=False) as clock:
        published(profile, "UTC", time(2, 0))
        tasks.sweep()
        Connection.objects.filter(slot="rest").update(state="error")
        monkeypatch.setattr(tasks.download_daily, "delay", lambda *args: workers_called.append(args))
        clock.shift(timedelta(days=1))
        tasks.sweep()
        assert workers_called == []
        Connection.objects.filter(slot="rest").update(state="working")
        tasks.sweep()
        assert workers_called == [(profile.pk,)]


def test_what_an_operator_changed_survives_publishing_migrating_and_beat(real_transactions, profile):
    published(profile, "Asia/Tokyo", time(5, 45))
    before = PeriodicTask.objects.values("name", "crontab", "enabled").order_by("name")
    kept = list(before)
    schedules.ensure_schedules(profile)
    call_command("migrate", verbosity=0, stdout=io.StringIO())
    DatabaseScheduler(app=app).setup_schedule()
    assert list(before.all()) == kept
    assert "05:45 Asia/Tokyo" in schedules.words_of(schedules.task_of(profile, DOWNLOAD_TASK))


def test_beat_takes_the_schedule_as_we_store_it(real_transactions, profile):
    """The real scheduler reads the row, and finds it due when we say so."""
    with time_machine.travel(datetime(2027, 1, 10, 12, tzinfo=UTC), tick=False) as clock:
        published(profile, "Europe/Berlin", time(2, 0))
        task = schedules.task_of(profile, DOWNLOAD_TASK)
        PeriodicTask.objects.filter(pk=task.pk).update(last_run_at=timezone.now())
        # Beat leaves out what is hours away.
        entry = DatabaseScheduler(app=app).all_as_schedule().get(task.name)
        assert entry is None or not entry.is_due().is_due
        clock.shift(timedelta(hours=13, minutes=1))  # 01:01 UTC, 02:01 in Berlin
        entry = DatabaseScheduler(app=app).all_as_schedule()[task.name]
        assert entry.is_due().is_due


# --- The reclaim window -----------------------------------------------------------------------------------------------


def closed_now() -> schedules.Plan:
    """A window of one hour that is not this one."""
    hour = (timezone.now().hour + 12) % 24
    return schedules.window_plan(start=hour, end=hour + 1, zone="UTC")


@pytest.fixture
def approved(world, alice, bob):
    world.first_download()
    decide.approve(request_reclaim(world.candidates(2), actor=alice), actor=bob)
    return world


def test_outside_of_the_window_nothing_is_sent_and_nothing_is_lost(approved):
    schedules.change_schedule(approved.profile, RECLAIM_TASK, closed_now(), actor=None)
    assert reclaim_due(approved.profile).held == 2
    for item in Reclaim.objects.all():
        assert (item.state, item.hold_reason) == ("queued", "window")
        assert timezone.now() < item.not_before < timezone.now() + timedelta(hours=13)
    assert approved.deactivated_by_us() == []
    with time_machine.travel(Reclaim.objects.first().not_before + timedelta(minutes=1)):
        assert reclaim_due(approved.profile).reclaimed == 2
    assert len(approved.deactivated_by_us()) == 2


def test_the_control_without_the_window_sends(approved, monkeypatch):
    schedules.change_schedule(approved.profile, RECLAIM_TASK, closed_now(), actor=None)
    monkeypatch.setattr("subscriptions.reclaims.holds.window_open", lambda profile: True)
    assert reclaim_due(approved.profile).reclaimed == 2


@pytest.mark.usefixtures("window_closes_after_the_claim")
def test_a_window_that_closes_after_the_claim_still_holds(approved):
    reclaim_due(approved.profile)
    assert approved.deactivated_by_us() == []
    assert {item.state for item in Reclaim.objects.all()} == {"queued"}


def test_a_wider_window_lets_held_items_go_at_once(approved):
    schedules.change_schedule(approved.profile, RECLAIM_TASK, closed_now(), actor=None)
    reclaim_due(approved.profile)
    any_time = schedules.window_plan(start=0, end=24, zone="UTC")
    schedules.change_schedule(approved.profile, RECLAIM_TASK, any_time, actor=None)
    assert sweep.profiles_to_reclaim() == [approved.profile.pk]
    assert reclaim_due(approved.profile).reclaimed == 2


def test_a_paused_window_never_opens_by_itself(approved):
    schedules.switch_schedule(approved.profile, RECLAIM_TASK, enabled=False, actor=None)
    reclaim_due(approved.profile)
    assert {(item.hold_reason, item.not_before) for item in Reclaim.objects.all()} == {("window", None)}
    assert approved.deactivated_by_us() == []


# --- The form ---------------------------------------------------------------------------------------------------------


def address(profile: IntegrationProfile, subflow: str) -> str:
    return reverse("admin:integrations_integrationprofile_schedule", args=[profile.pk, subflow])


def test_the_form_stores_and_tells_the_schedule(profile, operator):
    lifecycle.publish(profile, actor=None)
    form = {"weekdays": ["1", "2", "3", "4", "5"], "at": "06:30", "zone": "Europe/Berlin"}
    text = operator.post(address(profile, "download"), form, follow=True).content.decode()
    assert "Monday to Friday at 06:30 Europe/Berlin" in text
    event = AuditEvent.objects.get(action="profile.schedule_changed")
    assert event.data["download"]["to"] == "Monday to Friday at 06:30 Europe/Berlin"
    shown = operator.get(address(profile, "download")).content.decode()
    assert "in Europe/Berlin (" in shown
    assert 'value="06:30"' in shown


def test_a_window_over_midnight_comes_back_into_the_form(profile, operator):
    lifecycle.publish(profile, actor=None)
    form = {"weekdays": ["1", "2"], "start": "22", "end": "6", "zone": "America/New_York"}
    text = operator.post(address(profile, "reclaim"), form, follow=True).content.decode()
    assert "Monday and Tuesday, 22:00 to 06:00 the next day America/New_York" in text
    shown = operator.get(address(profile, "reclaim")).content.decode()
    assert '<option value="22" selected>' in shown
    assert '<option value="6" selected>' in shown


@pytest.mark.parametrize(
    ("wrong", "words"),
    [({"weekdays": []}, "Choose at least one day"), ({"at": "25:00"}, "valid time"), ({"zone": "Mars/X"}, "valid")],
)
def test_a_wrong_value_is_told_and_nothing_is_stored(profile, operator, wrong, words):
    lifecycle.publish(profile, actor=None)
    form = {"weekdays": ["1"], "at": "06:30", "zone": "UTC", **wrong}
    assert words in operator.post(address(profile, "download"), form).content.decode()
    assert not AuditEvent.objects.filter(action="profile.schedule_changed").exists()


def test_pause_and_resume(profile, operator):
    lifecycle.publish(profile, actor=None)
    operator.post(address(profile, "download"), {"switch": "pause"})
    assert not schedules.task_of(profile, DOWNLOAD_TASK).enabled
    assert "Resume schedule" in operator.get(address(profile, "download")).content.decode()
    operator.post(address(profile, "download"), {"switch": "resume"})
    assert schedules.task_of(profile, DOWNLOAD_TASK).enabled


def test_only_operators_change_it(profile, client, carol):
    lifecycle.publish(profile, actor=None)
    client.force_login(carol)
    assert client.post(address(profile, "download"), {"switch": "pause"}).status_code == 403
    assert "Ask an operator" in client.get(address(profile, "download")).content.decode()
    assert schedules.task_of(profile, DOWNLOAD_TASK).enabled
