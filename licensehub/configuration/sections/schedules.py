"""The times when downloads start, and when seats may be reclaimed, by the forms of the screens."""

from __future__ import annotations

from typing import Any, Final

from django.contrib.auth.models import User

from integrations.models import IntegrationProfile
from licensehub.configuration.changes import Kind, Plan, shown
from licensehub.configuration.reading import Entry
from subscriptions.admin.schedules.schedule_form import FORMS, TASKS, ScheduleForm
from subscriptions.schedules import occurrences, schedules
from subscriptions.schedules.schedules import RECLAIM_TASK
from subscriptions.schedules.schedules import Plan as SchedulePlan

OPERATE: Final = "integrations.operate_integrationprofile"
DAYS: Final = {"mon": 1, "tue": 2, "wed": 3, "thu": 4, "fri": 5, "sat": 6, "sun": 0}
# The names in the file -> the fields of the form.
TIMES: Final = {"download": {"at": "at"}, "reclaim": {"from": "start", "to": "end"}}


def dump(profile: IntegrationProfile) -> dict[str, Any]:
    found = {subflow: dump_one(profile, subflow) for subflow in TASKS}
    return {subflow: values for subflow, values in found.items() if values}


def dump_one(profile: IntegrationProfile, subflow: str) -> dict[str, Any] | None:
    """None where there is no schedule, or one that no form could have stored."""
    task = schedules.task_of(profile, TASKS[subflow])
    if task is None or task.crontab is None:
        return None
    fields = occurrences.fields_of(task.crontab)
    window = TASKS[subflow] == RECLAIM_TASK
    minute = None if window else fields.minutes[0]
    stored = SchedulePlan(fields.weekdays, frozenset(fields.hours), minute, str(task.crontab.timezone))
    times = FORMS[subflow].values(stored)
    data = {**times, "weekdays": sorted(stored.weekdays), "zone": stored.zone}
    form: Any = FORMS[subflow](data)
    if not form.is_valid() or form.plan() != stored:
        return None
    texts = {
        name: f"{times[field]:%H:%M}" if field == "at" else f"{times[field]:02d}:00"
        for name, field in TIMES[subflow].items()
    }
    days = [day for day, number in DAYS.items() if number in stored.weekdays]
    return {**texts, "days": days, "zone": stored.zone, "enabled": task.enabled}


def plan(name: str, entry: Entry, profile: IntegrationProfile, plan: Plan) -> None:
    for subflow, one in entry.only(*TASKS).items():
        plan.guarded(_plan, name, subflow, one, profile, plan)


def _plan(name: str, subflow: str, entry: Entry, profile: IntegrationProfile, plan: Plan) -> None:
    entry.only(*TIMES[subflow], "days", "zone", "enabled")
    days = [one.one_of(list(DAYS)) for one in entry.required("days").items()]
    texts = {given: entry.required(given).text() for given in TIMES[subflow]}
    enabled = entry.read("enabled", Entry.switch, True)
    wanted = _checked(subflow, entry, texts, days)
    before = dump_one(profile, subflow)
    after = {
        **texts,
        "days": [day for day in DAYS if day in days],
        "zone": entry.required("zone").text(),
        "enabled": enabled,
    }
    if before == after:
        return

    def do(actor: User) -> None:
        schedules.change_schedule(profile, TASKS[subflow], wanted, actor=actor)
        schedules.switch_schedule(profile, TASKS[subflow], enabled=enabled, actor=actor)

    text = f"{shown(before)} → {shown(after)}"
    plan.add(Kind.CHANGE, f"{name}: schedules: {subflow}", text, entry, OPERATE, do)


def _checked(subflow: str, entry: Entry, texts: dict[str, str], days: list[str]) -> SchedulePlan:
    data: dict[str, Any] = {"weekdays": [DAYS[day] for day in days], "zone": entry.required("zone").text()}
    for given, field in TIMES[subflow].items():
        data[field] = texts[given] if field == "at" else _hour(entry.required(given))
    form: ScheduleForm = FORMS[subflow](data)
    if not form.is_valid():
        wrong = next(iter(form.errors))
        names = {"weekdays": "days", **{field: given for given, field in TIMES[subflow].items()}}
        place = entry.named().get(names.get(wrong, wrong), entry)
        raise place.wrong(" ".join(str(text) for text in form.errors[wrong]))
    plan: SchedulePlan = form.plan()  # type: ignore[attr-defined]  # of each of the two forms
    return plan


def _hour(entry: Entry) -> str:
    hour, _, minute = entry.text().partition(":")
    if minute != "00" or len(hour) != 2 or not (hour.isascii() and hour.isdecimal()):
        raise entry.wrong("Write a full hour, e.g. 08:00.")
    return str(int(hour))
