"""Actions on the page of a download run: follow its progress, and accept or discard a quarantined run."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

from django.contrib.auth.models import User
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from integrations.admin.findings import OPERATE
from licensehub.database.clock import database_now
from licensehub.ui.admin import refuse_unless_post, signed_in
from licensehub.ui.formatting import ago, day, day_and_time, number
from subscriptions import tasks
from subscriptions.admin.downloads.steps import standstill, steps_of
from subscriptions.admin.widgets.actions import run_action
from subscriptions.admin.widgets.charts import histogram_of_download
from subscriptions.downloads import acceptance
from subscriptions.eligibility.terms import terms_of
from subscriptions.models import DownloadRun, RunDoubt, RunState, Subscription
from subscriptions.models.download import STEPS, FollowUp
from subscriptions.tasks import enqueue_task

PAGE = "admin:subscriptions_downloadrun_change"
PROGRESS = "admin/subscriptions/downloadrun/progress.html"


def progress_of(run: DownloadRun) -> dict[str, Any]:
    """The progress of a run that is under way. The expected number is unknown for the first download of a profile."""
    known = Subscription.objects.filter(profile=run.profile, gone_at=None).count()
    expected = max(known, run.read) if known else None
    percent = round(100 * run.read / expected) if expected else None
    if run.state == RunState.EVALUATING:
        percent = round(100 * STEPS.index(FollowUp(run.follow_up)) / len(STEPS))
    return {
        "run": run,
        "expected": expected,
        "percent": percent,
        "seconds": int((database_now() - run.started_at).total_seconds()),
        "now": _now(run),
        "steps": steps_of(run),
        "standstill": standstill(run),
    }


def _now(run: DownloadRun) -> str:
    """The current step of an evaluating run, e.g. `Step 2 of 5: Only admins of teams, 12 s so far.`"""
    if run.state != RunState.EVALUATING:
        return ""
    step = FollowUp(run.follow_up)
    seconds = int((database_now() - datetime.fromisoformat(run.steps[step]["since"])).total_seconds())
    return _("The facts are new. Step {step} of {steps}: {label}, {seconds} s so far.").format(
        step=STEPS.index(step) + 1, steps=len(STEPS), label=step.label, seconds=number(seconds)
    )


def progress(request: HttpRequest, pk: int) -> HttpResponse:
    """The part of the page that is requested every two seconds. When the run has ended, the page reloads."""
    if not request.user.has_perm("subscriptions.view_downloadrun"):
        raise PermissionDenied
    run = get_object_or_404(DownloadRun.objects.select_related("profile"), pk=pk)
    answer = render(request, PROGRESS, progress_of(run))
    if not run.is_under_way:
        answer["HX-Refresh"] = "true"
    return answer


def _propose(run: DownloadRun, user: User, request: HttpRequest) -> str:
    acceptance.propose(run, reason=request.POST.get("reason", ""), actor=user)
    return _("Proposed. Another person has to open this page and confirm.")


def _accept(run: DownloadRun, user: User, request: HttpRequest) -> str:
    acceptance.accept(run, actor=user)
    enqueue_task(tasks.follow_up, run.pk)
    return ngettext(
        "{run} is accepted: {gone} person is marked as gone, {new} new, {changed} changed.",
        "{run} is accepted: {gone} people are marked as gone, {new} new, {changed} changed.",
        run.gone,
    ).format(run=run, gone=number(run.gone), new=number(run.new), changed=number(run.changed))


def _discard(run: DownloadRun, user: User, request: HttpRequest) -> str:
    acceptance.discard(run, actor=user)
    return _("{run} is discarded. The facts of the last complete download stay in use.").format(run=run)


ACTIONS: dict[str, Callable[[DownloadRun, User, HttpRequest], str]] = {
    "propose": _propose,
    "accept": _accept,
    "discard": _discard,
}


def decide(request: HttpRequest, pk: int, name: str) -> HttpResponse:
    if refusal := refuse_unless_post(request, OPERATE):
        return refusal
    run = DownloadRun.objects.select_related("profile", "proposed_by").filter(pk=pk).first()
    if run is None or name not in ACTIONS:
        raise Http404
    user = signed_in(request)
    return run_action(request, reverse(PAGE, args=[pk]), lambda: ACTIONS[name](run, user, request))


def activity_of(run: DownloadRun) -> list[dict[str, Any]]:
    """The histograms of the last complete download and of this one, to one scale. Empty if one of them is missing."""
    before = DownloadRun.objects.with_facts().filter(profile=run.profile, pk__lt=run.pk).first()
    if not (run.stats and before and before.stats):
        return []
    threshold = terms_of(run.profile).threshold
    pair = (
        (_("Before: {run}, {day}").format(run=before, day=day(before.finished_at)), before.stats, run.stats),
        (_("This download"), run.stats, before.stats),
    )
    return [
        {
            "title": title,
            "histogram": histogram_of_download(stats, threshold, beside=other),
            "newest": newest_activity(stats),
        }
        for title, stats, other in pair
    ]


def newest_activity(stats: Mapping[str, Any]) -> str:
    """`Newest activity: Nov 27, 2026, 3 hours ago`."""
    text = stats.get("newest_activity")
    if not text:
        return _("Nobody has any activity")
    moment = datetime.fromisoformat(text)
    return _("Newest activity: {day}, {ago}").format(day=day(moment), ago=ago(moment))


def quarantine_context(run: DownloadRun, request: HttpRequest) -> dict[str, Any] | None:
    """The context of the page for a quarantined run; None for any other run."""
    if run.state != RunState.QUARANTINED:
        return None
    user = signed_in(request)
    why_not = acceptance.why_not_acceptable(run)
    return {
        "why_not": why_not,
        "effect": None if why_not else acceptance.effect_of(run),
        "why_not_confirm": acceptance.why_not_confirm(run, user),
        "may_operate": user.has_perm(OPERATE),
        "may_view_people": user.has_perm("subscriptions.view_subscription"),
        "activity": activity_of(run),
        "missing": run.doubt == RunDoubt.MEMBERS,
        "proposed": f"{day_and_time(run.proposed_at)} ({ago(run.proposed_at)})" if run.proposed_at else "",
    }
