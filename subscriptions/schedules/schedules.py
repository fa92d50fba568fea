"""The schedule of each subflow, stored as PeriodicTask. Beat only triggers a task; the slot decides what is due.

Download: the moments at which a run is due. Reclaim: the window in which reclaims may be sent.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime, time, timedelta

from django.conf import settings
from django.db import transaction
from django.db.models import Q
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django_celery_beat.models import CrontabSchedule, PeriodicTask, PeriodicTasks

from integrations.models import ConnectionState, IntegrationProfile
from licensehub.audit.actions import Action
from licensehub.audit.log import Actor, record
from licensehub.database.clock import database_now
from licensehub.ui.names import joined
from subscriptions.accounts.scope import refuse_outside
from subscriptions.models import DownloadRun, HoldReason, Reclaim, ReclaimState
from subscriptions.schedules import occurrences

DOWNLOAD_TASK = "subscriptions.tasks.download_daily"
RECLAIM_TASK = "subscriptions.tasks.reclaim"
NAMES = {DOWNLOAD_TASK: "Download subscriptions: profile {}", RECLAIM_TASK: "Reclaim subscriptions: profile {}"}
NIGHT = time(2, 0)
EVERY_DAY = frozenset(range(7))
WORKDAYS = frozenset(range(1, 6))
# Celery's numbers: Sunday is 0.
WEEKDAYS = {
    1: gettext_lazy("Monday"),
    2: gettext_lazy("Tuesday"),
    3: gettext_lazy("Wednesday"),
    4: gettext_lazy("Thursday"),
    5: gettext_lazy("Friday"),
    6: gettext_lazy("Saturday"),
    0: gettext_lazy("Sunday"),
}


@dataclass(frozen=True, slots=True)
class Plan:
    """The times that an operator chose. `minute` is None for a window, which has whole hours."""

    weekdays: frozenset[int]
    hours: frozenset[int]
    minute: int | None
    zone: str

    def crontab(self) -> CrontabSchedule:
        """The row of CrontabSchedule with these values. Such rows are shared and never changed."""
        values = {
            "minute": "*/15" if self.minute is None else str(self.minute),
            "hour": _listed(self.hours, 24),
            "day_of_week": _listed(self.weekdays, 7),
            "day_of_month": "*",
            "month_of_year": "*",
            "timezone": self.zone,
        }
        # The table has no unique constraint, so there may be two equal rows; both are right.
        same = CrontabSchedule.objects.filter(**values).order_by("pk").first()
        return same or CrontabSchedule.objects.create(**values)


def _listed(numbers: frozenset[int], all_of_them: int) -> str:
    return "*" if len(numbers) == all_of_them else ",".join(str(number) for number in sorted(numbers))


def daily_plan(*, at: time, weekdays: frozenset[int] = EVERY_DAY, zone: str) -> Plan:
    return Plan(weekdays=weekdays, hours=frozenset({at.hour}), minute=at.minute, zone=zone)


def window_plan(*, start: int, end: int, weekdays: frozenset[int] = EVERY_DAY, zone: str) -> Plan:
    """A window from one full hour to another (0 to 24). If the end is not after the start, it goes over midnight."""
    hours = range(start, end) if start < end else [*range(start, 24), *range(end)]
    return Plan(weekdays=weekdays, hours=frozenset(hours), minute=None, zone=zone)


def default_plan(task: str) -> Plan:
    """The schedule that publishing stores if no operator has chosen one."""
    if task == DOWNLOAD_TASK:
        return daily_plan(at=NIGHT, zone=settings.TIME_ZONE)
    return window_plan(start=0, end=24, zone=settings.TIME_ZONE)


def task_of(profile: IntegrationProfile, task: str) -> PeriodicTask | None:
    rows = PeriodicTask.objects.filter(name=NAMES[task].format(profile.pk), task=task)
    return rows.select_related("crontab").first()


def ensure_schedules(profile: IntegrationProfile) -> None:
    """Create the default schedules that are missing. Existing ones, which an operator may have changed, stay."""
    for task, name in NAMES.items():
        values = {"task": task, "crontab": default_plan(task).crontab(), "args": json.dumps([profile.pk])}
        PeriodicTask.objects.get_or_create(
            name=name.format(profile.pk), defaults={**values, "start_time": database_now()}
        )
    PeriodicTasks.update_changed()


def change_schedule(profile: IntegrationProfile, task: str, plan: Plan, *, actor: Actor) -> None:
    """Change the schedule from now on: no past slot becomes due. An equal schedule is not written."""
    refuse_outside(actor, profile.pk)
    with transaction.atomic():
        found, crontab = _locked(profile, task), plan.crontab()
        if found.crontab == crontab:
            return
        before = words_of(found)
        found.crontab, found.start_time = crontab, database_now()
        found.save()
        _changed(profile, task, before, words_of(found), actor=actor)


def switch_schedule(profile: IntegrationProfile, task: str, *, enabled: bool, actor: Actor) -> None:
    """Pause or resume the schedule. While it is paused, no download starts by itself, or no reclaim is sent."""
    refuse_outside(actor, profile.pk)
    with transaction.atomic():
        found = _locked(profile, task)
        if found.enabled == enabled:
            return
        before = words_of(found)
        found.enabled, found.start_time = enabled, database_now()
        found.save()
        _changed(profile, task, before, words_of(found), actor=actor)


def remove_schedules(profile: IntegrationProfile) -> None:
    PeriodicTask.objects.filter(name__in=[name.format(profile.pk) for name in NAMES.values()]).delete()
    PeriodicTasks.update_changed()


def _locked(profile: IntegrationProfile, task: str) -> PeriodicTask:
    """The row to change, locked. A Draft has none yet and gets its schedules here."""
    if task_of(profile, task) is None:
        ensure_schedules(profile)
    return PeriodicTask.objects.select_for_update().get(name=NAMES[task].format(profile.pk))


def _changed(profile: IntegrationProfile, task: str, before: str, after: str, *, actor: Actor) -> None:
    """Clear the hold of items that wait for the window, so that they are checked again, and record the change."""
    held = Reclaim.objects.filter(profile=profile, state=ReclaimState.QUEUED, hold_reason=HoldReason.WINDOW)
    held.update(hold_reason="", not_before=None)
    subflow = "download" if task == DOWNLOAD_TASK else "reclaim"
    record(Action.SCHEDULE_CHANGED, actor=actor, target=profile, data={subflow: {"from": before, "to": after}})


# --- What is due ------------------------------------------------------------------------------------------------------


def due_slot(profile: IntegrationProfile, now: datetime | None = None) -> datetime | None:
    """The last slot of the download schedule, if no run has served it. Earlier missed slots are not caught up.

    Any run that began at or after the slot serves it, since its facts are fresh enough.
    """
    now = now or database_now()
    task = task_of(profile, DOWNLOAD_TASK)
    if task is None or not task.enabled or task.crontab is None:
        return None
    slot = occurrences.last_slot(task.crontab, now)
    if slot is None or (task.start_time and slot < task.start_time):
        return None
    served = Q(slot=slot) | Q(started_at__gte=slot)
    return None if DownloadRun.objects.filter(served, profile=profile).exists() else slot


def profiles_with_due_slot() -> list[int]:
    """Ids of profiles. One whose download connection is in Error is left out until a person repairs it."""
    found = []
    for profile in IntegrationProfile.objects.downloading():
        slot_name = profile.connector.download_slot
        broken = profile.connections.filter(slot=slot_name, state=ConnectionState.ERROR).exists()
        if not broken and due_slot(profile) is not None:
            found.append(profile.pk)
    return found


def window_open(profile: IntegrationProfile) -> bool:
    """Whether the schedule allows sending now."""
    task = task_of(profile, RECLAIM_TASK)
    if task is None or task.crontab is None:
        return True
    return task.enabled and occurrences.is_open(task.crontab, database_now())


def window_opens_at(profile: IntegrationProfile) -> datetime | None:
    """Return when the window opens next; None while it is open, or while the schedule is paused."""
    task = task_of(profile, RECLAIM_TASK)
    if task is None or task.crontab is None or not task.enabled:
        return None
    return occurrences.opens_at(task.crontab, database_now())


# --- In words ---------------------------------------------------------------------------------------------------------


def words_of(task: PeriodicTask) -> str:
    """`Every day at 02:00 Europe/Berlin`, or `Monday to Friday, 08:00 to 18:00 UTC`; `, paused` may follow."""
    if task.crontab is None:
        return _("Unknown")
    words = _window_words(task.crontab) if task.task == RECLAIM_TASK else _daily_words(task.crontab)
    return words if task.enabled else _("{schedule}, paused").format(schedule=words)


def _daily_words(crontab: CrontabSchedule) -> str:
    fields = occurrences.fields_of(crontab)
    times = [f"{hour:02d}:{minute:02d}" for hour in fields.hours for minute in fields.minutes]
    if len(times) > 4:
        return f"Crontab {crontab}"
    said = _("{days} at {times} {zone}")
    return said.format(days=_days(fields.weekdays), times=joined(times), zone=crontab.timezone)


def _window_words(crontab: CrontabSchedule) -> str:
    fields = occurrences.fields_of(crontab)
    if len(fields.hours) == 24 and fields.weekdays == EVERY_DAY:
        return _("At any time")
    # An hour after midnight counts as 24 and more, so that it joins the span that begins the day before.
    spans = _spans(sorted(hour + 24 if hour in fields.late_hours else hour for hour in fields.hours))
    same_day, next_day = _("{start} to {end}"), _("{start} to {end} the next day")
    spans_in_words = joined(
        [
            (same_day if end <= 24 else next_day).format(
                start=f"{start:02d}:00", end=f"{end if end <= 24 else end - 24:02d}:00"
            )
            for start, end in spans
        ]
    )
    return f"{_days(fields.weekdays)}, {spans_in_words} {crontab.timezone}"


def _spans(hours: list[int]) -> list[tuple[int, int]]:
    """[8, 9, 10, 22] -> [(8, 11), (22, 23)]"""
    found: list[tuple[int, int]] = []
    for hour in hours:
        if found and found[-1][1] == hour:
            found[-1] = (found[-1][0], hour + 1)
        else:
            found.append((hour, hour + 1))
    return found


def _days(weekdays: frozenset[int]) -> str:
    if weekdays == EVERY_DAY:
        return _("Every day")
    if weekdays == WORKDAYS:
        return _("Monday to Friday")
    return joined([str(name) for number, name in WEEKDAYS.items() if number in weekdays])


def next_moments(task: PeriodicTask, *, count: int = 3) -> list[datetime]:
    if task.crontab is None or not task.enabled:
        return []
    return occurrences.next_slots(task.crontab, database_now() + timedelta(seconds=1), count=count)
