"""The other notifications: connections, downloads, candidates, and sending that stays stopped."""

from __future__ import annotations

from datetime import timedelta

import pytest
import time_machine
from django.contrib.auth.models import User
from django.utils import timezone

from integrations import sending
from integrations.connections import connection_state
from integrations.connectors.contract import ConfigError
from integrations.models import Connection, Webhook, WebhookState
from licensehub.audit.models import AuditEvent
from subscriptions import sweep
from subscriptions.models import Delivery, DownloadRun, NotificationKind, RemovalCandidate
from subscriptions.notifications.choices import choose
from subscriptions.schedules.schedules import ensure_schedules
from tests.support.fixtures import person
from tests.support.people.colleagues import NOON, Colleagues
from tests.support.servers.webhooks import stored_webhook


@pytest.fixture
def operator(db) -> User:
    return person("oscar", "Operator")


def test_a_connection_in_error_has_one_mail_until_it_has_worked_again(colleagues: Colleagues, operator):
    profile = colleagues.organization.profile
    Connection.objects.create(profile=profile, slot="rest", state="working")
    for cause in ("The scope is missing.", "The app is uninstalled."):
        connection_state.mark_failed(profile, ConfigError(cause, slot="rest"))
        colleagues.minute()
        colleagues.minute()
    [subject] = colleagues.subjects(operator)
    assert subject.startswith("Northwind: ") and subject.endswith(" is in error")
    assert "The scope is missing." in colleagues.text(operator)

    connection_state.mark_working(profile, "rest")
    colleagues.minute()
    connection_state.mark_failed(profile, ConfigError("Again.", slot="rest"))
    colleagues.minute()
    assert len(colleagues.subjects(operator)) == 2


def test_a_connection_that_stays_in_error_has_one_mail_a_week_and_one_event_a_day(colleagues: Colleagues, operator):
    profile = colleagues.organization.profile
    Connection.objects.create(profile=profile, slot="rest", state="working")
    with time_machine.travel(NOON, tick=False) as clock:
        for hour in range(24 * 15):
            # E.g. since the vendor puts another number into each answer.
            connection_state.mark_failed(profile, ConfigError(f"Refused, number {hour}.", slot="rest"))
            if hour % 12 == 0:
                colleagues.minute()
            clock.shift(timedelta(hours=1))
        assert len(colleagues.subjects(operator)) == 3
        row = Connection.objects.get(slot="rest")
        assert (row.state_changed_at, row.error) == (NOON, "Refused, number 359."), "since when, and why now"
    assert AuditEvent.objects.filter(action="connection.failed").count() == 15


def test_a_clock_that_is_set_back_makes_no_second_mail(colleagues: Colleagues, operator):
    profile = colleagues.organization.profile
    Connection.objects.create(profile=profile, slot="rest", state="working")
    connection_state.mark_failed(profile, ConfigError("The scope is missing.", slot="rest"))
    colleagues.minute()
    Connection.objects.update(state_changed_at=timezone.now() + timedelta(minutes=5))
    colleagues.minute()
    assert len(colleagues.subjects(operator)) == 1


def test_a_quarantined_download_and_one_that_does_not_come(colleagues: Colleagues, operator):
    profile, run = colleagues.organization.profile, colleagues.organization.run
    with time_machine.travel(NOON, tick=False) as clock:
        DownloadRun.objects.filter(pk=run.pk).update(started_at=NOON, finished_at=NOON)
        ensure_schedules(profile)
        clock.shift(timedelta(hours=14))
        assert colleagues.minute() == 0, "it was due at 02:00, and may still run"
        clock.shift(timedelta(hours=4))
        colleagues.minute()
        colleagues.minute()
        assert colleagues.subjects(operator) == ["Northwind: no download since Nov 26, 2026, 12:00"]

        now = timezone.now()
        problem = "40 % of the people are missing."
        DownloadRun.objects.create(
            profile=profile,
            state="quarantined",
            started_by="schedule",
            started_at=now,
            lease_until=now,
            problem=problem,
        )
        colleagues.minute()
        assert colleagues.subjects(operator)[1:] == ["Northwind: a download is quarantined"]
        assert problem in colleagues.text(operator)


def test_a_webhook_that_was_switched_off_has_one_mail(colleagues: Colleagues, alice):
    cora = person("cora", "Company admin")
    webhook = stored_webhook(name="On call").webhook
    failing = {"failing_since": timezone.now() - timedelta(days=4), "error": "The host answered 500."}
    Webhook.objects.filter(pk=webhook.pk).update(**failing)
    for _ in range(2):
        sweep.tell_webhooks()
        colleagues.minute()
    [subject] = colleagues.subjects(cora)
    assert subject.strip() == "LicenseHub switched off the webhook “On call”"
    assert "hooks.slack.com has taken nothing since" in colleagues.text(cora)
    assert "The host answered 500." in colleagues.text(cora)
    assert colleagues.subjects(alice) == [], "she may not change webhooks"
    # It fails for days once more after it was switched on.
    Webhook.objects.update(state=WebhookState.ON, failing_since=None)
    colleagues.minute()
    Webhook.objects.update(**failing)
    sweep.tell_webhooks()
    colleagues.minute()
    assert len(colleagues.subjects(cora)) == 2


def test_candidates_with_attention_come_in_the_mail_of_the_day(colleagues: Colleagues, alice):
    choose(alice, {NotificationKind.EXPIRED: Delivery.OFF})
    with time_machine.travel(NOON, tick=False) as clock:
        RemovalCandidate.objects.all().update(state="attention_required", state_changed_at=NOON)
        assert colleagues.minute() == 0
        clock.shift(timedelta(hours=21))
        assert colleagues.minute() == 1
    assert colleagues.subjects(alice) == ["LicenseHub, Nov 27, 2026: 1 thing to know"]
    assert "Northwind: 8 candidates with attention required" in colleagues.text(alice)


def test_all_sending_that_stays_stopped(colleagues: Colleagues, operator):
    choose(operator, {NotificationKind.STOPPED: Delivery.SINGLE})
    with time_machine.travel(NOON, tick=False) as clock:
        sending.stop_all(actor=operator, reason="We look at the last batch.")
        colleagues.minute()
        for days in (1, 2, 5, 4):
            clock.shift(timedelta(days=days))
            colleagues.minute()
        assert colleagues.subjects(operator) == ["All sending is stopped since Nov 26, 2026"] * 2
        assert "oscar stopped all sending" in colleagues.text(operator)
        sending.allow_all(actor=operator)
        clock.shift(timedelta(days=9))
        colleagues.minute()
    assert len(colleagues.subjects(operator)) == 2
