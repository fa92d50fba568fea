"""The page of a dry run: totals, then what would happen to each person. The result is not stored."""

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
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from integrations.admin.findings import OPERATE
from integrations.connectors.contract import ConnectorError
from integrations.models import IntegrationProfile
from licensehub.database.clock import database_now
from licensehub.ui.admin import sentence_of
from subscriptions.accounts.rights import DECIDE, may
from subscriptions.admin.approvals.pages.cap_meters import cap_status
from subscriptions.admin.approvals.permissions import REQUEST
from subscriptions.admin.widgets.actions import REFUSALS
from subscriptions.admin.widgets.evidence import last_activity, now_called, person_of
from subscriptions.approvals import dry_run
from subscriptions.approvals.dry_run import DryRun, Ending, PersonOutcome
from subscriptions.models import ReclaimRequest

TEMPLATE = "admin/subscriptions/dry_run.html"
# Ten people need one call to the vendor. A page tries this many people at most, the command tries all.
LIMIT = 100
MARKS = {
    Ending.SEND: ("event_seat", "info"),
    Ending.NOT_SENT: ("person_off", "ok"),
    Ending.HOLD: ("hourglass_top", "warning"),
}
TILES = {
    Ending.SEND: gettext_lazy("Would be sent"),
    Ending.NOT_SENT: gettext_lazy("Would not be sent"),
    Ending.HOLD: gettext_lazy("Would wait"),
}


@dataclass(frozen=True, slots=True)
class PersonLine:
    """One person of the table. `number` counts in the order of a send."""

    number: int
    row: PersonOutcome
    name: str
    second: str
    now: str
    last_activity: str
    icon: str
    tone: str


def profile_view(request: HttpRequest, pk: int) -> HttpResponse:
    """A dry run of everything in a profile that is approved and due."""
    if not request.user.has_perm(OPERATE):
        raise PermissionDenied
    profile = get_object_or_404(IntegrationProfile, pk=pk)
    return show(
        request,
        lambda: dry_run.try_queue(profile, limit=LIMIT),
        subject=f"“{profile}”",
        back=reverse("admin:integrations_integrationprofile_change", args=[pk]),
        again=request.path,
        command=_command(profile),
    )


def request_view(request: HttpRequest, pk: int) -> HttpResponse:
    """A dry run of the people of a request."""
    row = get_object_or_404(ReclaimRequest.objects.select_related("profile"), pk=pk)
    if not (may(request.user, DECIDE) or request.user.has_perm(REQUEST)):
        raise PermissionDenied
    caps = cap_status(row, row.removals.not_dropped().count())
    return show(
        request,
        lambda: dry_run.try_request(row, limit=LIMIT),
        subject=row.number,
        back=reverse("admin:subscriptions_reclaimrequest_change", args=[pk]),
        again=request.path,
        command=_command(row.profile, "--request", row.number),
        warning=caps.refusal if caps else "",
    )


def show(
    request: HttpRequest,
    do: Callable[[], DryRun],
    *,
    subject: str,
    back: str,
    again: str = "",
    command: str = "",
    warning: str = "",
) -> HttpResponse:
    """Run `do` and show its result. An error or a refusal becomes a message on the page at `back`.

    `subject` names what is tried, `again` is the address that repeats this dry run, `command` tries all people.
    """
    if request.method != "POST":
        return HttpResponseRedirect(back)
    try:
        result = do()
    except ConnectorError as error:
        nothing = _("Nothing was decided or sent.")
        messages.error(request, f"{sentence_of(error)} {nothing}")
        return HttpResponseRedirect(back)
    except REFUSALS as error:
        messages.error(request, sentence_of(error))
        return HttpResponseRedirect(back)
    context = {
        "title": _("Dry run of {subject}").format(subject=subject),
        "back": back,
        "again": again,
        "command": command,
        "warning": warning,
    }
    return TemplateResponse(request, TEMPLATE, {**site.each_context(request), **_context(result), **context})


def _context(result: DryRun) -> dict[str, Any]:
    return {
        "lines": [_line(number, row) for number, row in enumerate(result.rows, start=1)],
        "vendor": result.rows[0].item.removal.request.profile.vendor if result.rows else "",
        "tiles": [
            {
                "label": str(TILES[ending]),
                "count": result.count(ending),
                "detail": _("when approved and due")
                if ending == Ending.SEND
                else dry_run.for_display(result.kinds(ending)),
            }
            for ending in Ending
        ],
        "left_out": result.left_out,
        "tried_at": database_now(),
    }


def _line(number: int, row: PersonOutcome) -> PersonLine:
    evidence = row.item.removal.evidence
    name = person_of(evidence)
    icon, tone = MARKS[row.ending]
    return PersonLine(
        number=number,
        row=row,
        name=name,
        second=evidence["department"] or (evidence["email"] if evidence["email"] != name else ""),
        now=now_called(evidence, row.item.subscription),
        last_activity=last_activity(evidence),
        icon=icon,
        tone=tone,
    )


def _command(profile: IntegrationProfile, *options: str) -> str:
    """The command that tries everybody, also in a long list."""
    return f"manage.py {shlex.join(['reclaim_subscriptions', profile.name, '--dry-run', *options])}"
