"""The page that a dry run leads to: totals, then each person with what would happen. Nothing is kept of it."""

from __future__ import annotations

import shlex
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from django.contrib import messages
from django.contrib.admin import site
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import get_object_or_404
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils import timezone

from integrations.admin.findings import OPERATE
from integrations.connectors.contract import ConnectorError
from integrations.models import IntegrationProfile
from licensehub.ui.admin import sentence_of
from subscriptions.admin.widgets.actions import REFUSALS
from subscriptions.admin.widgets.evidence import last_activity, person_of
from subscriptions.approvals import dry_run
from subscriptions.approvals.dry_run import DryRun, Ending, PersonOutcome
from subscriptions.models import ReclaimRequest

TEMPLATE = "admin/subscriptions/dry_run.html"
# Each ten people are one call to the vendor: a page tries so many, the command everybody.
LIMIT = 100
MARKS = {
    Ending.SEND: ("event_seat", "info"),
    Ending.SETTLE: ("person_off", "ok"),
    Ending.HOLD: ("hourglass_top", "warning"),
}
TILES = {Ending.SEND: "Would be sent", Ending.SETTLE: "Would not be sent", Ending.HOLD: "Would wait"}


@dataclass(frozen=True, slots=True)
class PersonLine:
    """One person of the table, by number in the order of a send."""

    number: int
    row: PersonOutcome
    name: str
    second: str
    last_activity: str
    icon: str
    tone: str


def show(
    request: HttpRequest,
    trying: Callable[[], DryRun],
    *,
    what: str,
    back: str,
    again: str = "",
    command: str = "",
    warning: str = "",
) -> HttpResponse:
    """Try, and show what came of it; what stands in the way is one message on the page that it came from.

    `what` is tried, `back` leads to its page, `again` is where the same is tried anew, `command` tries all of it.
    """
    if request.method != "POST":
        return HttpResponseRedirect(back)
    try:
        result = trying()
    except ConnectorError as error:
        messages.error(request, f"{error.message} Nothing was decided or sent.")
        return HttpResponseRedirect(back)
    except REFUSALS as error:
        messages.error(request, sentence_of(error))
        return HttpResponseRedirect(back)
    context = {
        **site.each_context(request),
        **_context(result),
        "title": f"Dry run of {what}",
        "back": back,
        "again": again,
        "command": command,
        "warning": warning,
    }
    return TemplateResponse(request, TEMPLATE, context)


def _context(result: DryRun) -> dict[str, Any]:
    return {
        "lines": [_line(number, row) for number, row in enumerate(result.rows, start=1)],
        "summary": dry_run.summary(result),
        "tiles": [_tile(result, ending) for ending in Ending],
        "left_out": result.left_out,
        "tried_at": timezone.now(),
    }


def _tile(result: DryRun, ending: Ending) -> dict[str, Any]:
    detail = dry_run.for_display(result.kinds(ending)) if ending != Ending.SEND else "once the request is approved"
    return {"label": TILES[ending], "count": result.count(ending), "detail": detail}


def _line(number: int, row: PersonOutcome) -> PersonLine:
    evidence = row.item.removal.evidence
    name = person_of(evidence)
    icon, tone = MARKS[row.ending]
    return PersonLine(
        number=number,
        row=row,
        name=name,
        second=evidence["department"] or (evidence["email"] if evidence["email"] != name else ""),
        last_activity=last_activity(evidence),
        icon=icon,
        tone=tone,
    )


def profile_view(request: HttpRequest, pk: int) -> HttpResponse:
    """What a send would do now with everything of a profile that is approved and due."""
    if not request.user.has_perm(OPERATE):
        raise PermissionDenied
    profile = get_object_or_404(IntegrationProfile, pk=pk)
    return show(
        request,
        lambda: dry_run.try_queue(profile, limit=LIMIT),
        what=f"“{profile}”",
        back=reverse("admin:integrations_integrationprofile_change", args=[pk]),
        again=request.path,
        command=command(profile),
    )


def command(profile: IntegrationProfile, request: ReclaimRequest | None = None) -> str:
    """What tries everybody, also of a long list."""
    more = ["--request", request.number] if request else []
    return f"manage.py {shlex.join(['reclaim_subscriptions', profile.name, '--dry-run', *more])}"
