"""The steps of a download run: members first, then each step of its follow-up, and how long it may take."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from licensehub.database.clock import database_now
from licensehub.translations.stored import translated
from licensehub.ui.formatting import day_and_time, number
from subscriptions.admin.widgets.counts import people
from subscriptions.admin.widgets.steps import Step
from subscriptions.models import DownloadRun, RunState
from subscriptions.models.download import STEPS, FollowUp

# How long a step may take. Measured with a million members: see docs/performance.md.
MAY_TAKE = {
    FollowUp.NAMES: gettext_lazy("about 20 seconds for 100,000 people"),
    FollowUp.TEAM_ADMINS: gettext_lazy("about a minute for 800 teams"),
    FollowUp.VERDICTS: gettext_lazy("about 15 seconds for a million people"),
    FollowUp.LISTS: gettext_lazy("about 20 seconds for a million people"),
    FollowUp.CANDIDATES: gettext_lazy("about 15 seconds for 150,000 people"),
    FollowUp.REQUEST: gettext_lazy("a moment"),
}


def steps_of(run: DownloadRun) -> list[Step]:
    """All steps in their order; empty for a run that ended before its facts were written."""
    if not run.is_under_way and not run.steps:
        return []
    return [_members(run), *(_step(run, step) for step in STEPS)]


def _members(run: DownloadRun) -> Step:
    count = ngettext("{} member", "{} members", run.read).format(number(run.read))
    if run.state == RunState.RUNNING:
        so_far = _("{count} so far").format(count=count)
        return Step(_("Members"), "progress_activity", _since(run.started_at), so_far, "info")
    return Step(_("Members"), "check", day_and_time(run.finished_at), count, "ok")


def _step(run: DownloadRun, step: FollowUp) -> Step:
    known: dict[str, Any] = run.steps.get(step, {})
    if "until" in known:
        return _done(step, known)
    if run.state == RunState.EVALUATING and run.follow_up == step:
        may_take = str(MAY_TAKE[step])
        if counted := _counted(step, known):
            may_take = _("{count} so far; {may_take}").format(count=counted, may_take=may_take)
        return Step(
            str(step.label), "progress_activity", _since(datetime.fromisoformat(known["since"])), may_take, "info"
        )
    if run.is_under_way:
        return Step(str(step.label), "schedule", "", str(MAY_TAKE[step]), "pending")
    return Step(str(step.label), "remove", "", str(FollowUp(run.follow_up).label) if run.follow_up else "", "pending")


def _done(step: FollowUp, known: dict[str, Any]) -> Step:
    since, until = (datetime.fromisoformat(known[name]) for name in ("since", "until"))
    # No line ends between a number and its unit.
    duration = seconds_text(int((until - since).total_seconds())).replace(" ", "\N{NO-BREAK SPACE}")
    took = _("{moment}, took {duration}").format(moment=_clock(until), duration=duration)
    if known["problem"]:
        return Step(str(step.label), "priority_high", took, translated(known["problem"]), "warning")
    if known["left_out"]:
        return Step(str(step.label), "remove", _clock(until), translated(known["left_out"]))
    return Step(str(step.label), "check", took, _counted(step, known), "ok")


def _counted(step: FollowUp, known: dict[str, Any]) -> str:
    done = known.get("done") or 0
    if done and step == FollowUp.NAMES:
        return people(done)
    if done and step == FollowUp.TEAM_ADMINS:
        return ngettext("{} team", "{} teams", done).format(number(done))
    return ""


def _clock(moment: datetime) -> str:
    return f"{timezone.localtime(moment):%H:%M:%S}"


def _since(moment: datetime) -> str:
    return _("since {moment}").format(moment=_clock(moment))


def seconds_text(seconds: int) -> str:
    """`42 s`, `3 min 10 s`."""
    minutes, rest = divmod(seconds, 60)
    if minutes:
        return _("{minutes} min {seconds} s").format(minutes=minutes, seconds=rest)
    return _("{seconds} s").format(seconds=rest) if rest else _("under 1 s")


def standstill(run: DownloadRun) -> str:
    """A sentence while a run is under way and no process works on it; else empty."""
    if not run.is_under_way or run.lease_until > database_now():
        return ""
    return _("No process works on it at this moment. The next one continues within a minute.")
