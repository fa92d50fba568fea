"""A profile's download schedule in plain words, from the PeriodicTask, which is the record."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.utils import timezone
from django_celery_beat.models import CrontabSchedule, PeriodicTask

from integrations.models import IntegrationProfile, ProfileState
from subscriptions.profiles import DOWNLOAD_TASK

WEEKDAYS = {"1-5": "Monday to Friday", "mon-fri": "Monday to Friday", "0,6": "Saturday and Sunday"}


@dataclass(frozen=True, slots=True)
class Schedule:
    """`next_at` is empty where nothing will start by itself."""

    words: str
    next_at: datetime | None


def schedule_of(profile: IntegrationProfile) -> Schedule:
    task = PeriodicTask.objects.filter(task=DOWNLOAD_TASK, args=json.dumps([profile.pk])).select_related(
        "crontab", "interval"
    )
    found = task.first()
    if found is None:
        return Schedule("None yet: publishing makes one, every day at 02:00 UTC", None)
    words = _words(found)
    if not found.enabled:
        return Schedule(f"{words}, switched off", None)
    return Schedule(words, _next(found) if profile.state == ProfileState.PUBLISHED else None)


def _words(task: PeriodicTask) -> str:
    if task.crontab is None:
        return str(task.interval or "Unknown").capitalize()
    return crontab_words(task.crontab)


def crontab_words(crontab: CrontabSchedule) -> str:
    """`Every day at 02:00 UTC`; what is more involved is shown as it stands."""
    if not (crontab.minute.isdigit() and crontab.hour.isdigit()):
        return f"Crontab {crontab}"
    at = f"at {int(crontab.hour):02d}:{int(crontab.minute):02d} {crontab.timezone}"
    days = (crontab.day_of_week, crontab.day_of_month, crontab.month_of_year)
    if days == ("*", "*", "*"):
        return f"Every day {at}"
    if days[1:] == ("*", "*") and days[0] in WEEKDAYS:
        return f"{WEEKDAYS[days[0]]} {at}"
    return f"Crontab {crontab}"


def _next(task: PeriodicTask) -> datetime | None:
    if task.crontab is None:
        return None
    now = timezone.now()
    # The estimate is made a moment later than `now`: back to the full minute.
    moment: datetime = now + task.crontab.schedule.remaining_estimate(now) + timedelta(seconds=30)
    return moment.replace(second=0, microsecond=0)
