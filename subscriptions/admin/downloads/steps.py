"""The steps of a download run: members first, then each step of its follow-up, and how long it may take."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django.utils import timezone
from django.utils.translation import ngettext

from licensehub.ui.formatting import day_and_time
from subscriptions.admin.widgets.steps import Step
from subscriptions.models import DownloadRun, RunState
from subscriptions.models.download import STEPS, FollowUp

# How long a step may take. Measured with a million members: see docs/performance.md.
MAY_TAKE = {
    FollowUp.NAMES: "about 20 seconds for 100,000 people",
    FollowUp.TEAM_ADMINS: "about a minute for 800 teams",
    FollowUp.VERDICTS: "about 15 seconds for a million people",
    FollowUp.CANDIDATES: "about 15 seconds for 150,000 people",
    FollowUp.LISTS: "about 20 seconds for a million people",
    FollowUp.REQUEST: "a moment",
}
COUNTED = {FollowUp.NAMES: ("{:,} person", "{:,} people"), FollowUp.TEAM_ADMINS: ("{:,} team", "{:,} teams")}


def steps_of(run: DownloadRun) -> list[Step]:
    """All steps in their order; empty for a run that ended before its facts were written."""
    if not run.is_under_way and not run.steps:
        return []
    return [_members(run), *(_step(run, step) for step in STEPS)]


def _members(run: DownloadRun) -> Step:
    count = ngettext("{:,} member", "{:,} members", run.read).format(run.read)
    if run.state == RunState.RUNNING:
        return Step("Members", "progress_activity", f"since {_clock(run.started_at)}", f"{count} so far", "info")
    return Step("Members", "check", day_and_time(run.finished_at), count, "ok")


def _step(run: DownloadRun, step: FollowUp) -> Step:
    known: dict[str, Any] = run.steps.get(step, {})
    if "until" in known:
        return _done(step, known)
    if run.state == RunState.EVALUATING and run.follow_up == step:
        since = f"since {_clock(datetime.fromisoformat(known['since']))}"
        so_far = f"{counted} so far; " if (counted := _counted(step, known)) else ""
        return Step(str(step.label), "progress_activity", since, f"{so_far}{MAY_TAKE[step]}", "info")
    if run.is_under_way:
        return Step(str(step.label), "schedule", "", MAY_TAKE[step], "pending")
    return Step(str(step.label), "remove", "", str(FollowUp(run.follow_up).label) if run.follow_up else "", "pending")


def _done(step: FollowUp, known: dict[str, Any]) -> Step:
    since, until = (datetime.fromisoformat(known[name]) for name in ("since", "until"))
    took = f"{_clock(until)}, took {_seconds(until - since)}"
    if known["problem"]:
        return Step(str(step.label), "priority_high", took, known["problem"], "warning")
    if known["left_out"]:
        return Step(str(step.label), "remove", _clock(until), known["left_out"])
    return Step(str(step.label), "check", took, _counted(step, known), "ok")


def _counted(step: FollowUp, known: dict[str, Any]) -> str:
    if step not in COUNTED or not known.get("done"):
        return ""
    one, many = COUNTED[step]
    return ngettext(one, many, known["done"]).format(known["done"])


def _clock(moment: datetime) -> str:
    return f"{timezone.localtime(moment):%H:%M:%S}"


def _seconds(span: Any) -> str:
    seconds = int(span.total_seconds())
    return f"{seconds // 60} min {seconds % 60} s" if seconds >= 60 else f"{seconds} s" if seconds else "under 1 s"


def standstill(run: DownloadRun) -> str:
    """A sentence while a run is under way and no process works on it; else empty."""
    if not run.is_under_way or run.lease_until > timezone.now():
        return ""
    return "No process works on it at this moment. The next one continues within a minute."
