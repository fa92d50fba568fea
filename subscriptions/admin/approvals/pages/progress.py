"""The progress of an approved request: a sentence, a bar, and the people to look at. Its page follows it."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Any

from django.core.exceptions import PermissionDenied
from django.db.models import Count, Q
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, render
from django.urls import reverse
from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from licensehub.ui.formatting import number
from subscriptions.admin.widgets.badges import outcome_sentence, reclaim_badge
from subscriptions.admin.widgets.evidence import person_of
from subscriptions.models import Direction, HoldReason, Reclaim, ReclaimRequest, ReclaimState, RequestState

VIEW = "subscriptions.view_reclaimrequest"
ANSWER = "admin/subscriptions/reclaimrequest/progress_answer.html"
FAILURES = (ReclaimState.FAILED, ReclaimState.TAMPERED, ReclaimState.IN_DOUBT)
# So many failures are named above the list, which has them all.
NAMED = 5


@dataclass(frozen=True, slots=True)
class Part:
    """One piece of the bar; `start` counts from the left, in people."""

    name: str
    label: str | Promise
    icon: str
    states: tuple[ReclaimState, ...]
    count: int = 0
    start: int = 0


# In the order of the bar: failures first.
PARTS = (
    Part("failed", gettext_lazy("failed"), "error", (ReclaimState.FAILED,)),
    Part("tampered", gettext_lazy("tampered"), "gpp_bad", (ReclaimState.TAMPERED,)),
    Part("doubt", gettext_lazy("in doubt"), "help", (ReclaimState.IN_DOUBT,)),
    Part("skipped", gettext_lazy("skipped"), "do_not_disturb_on", (ReclaimState.SKIPPED,)),
    Part("verified", gettext_lazy("verified"), "verified", (ReclaimState.DONE,)),
    Part("sending", gettext_lazy("being sent"), "progress_activity", (ReclaimState.CLAIMED, ReclaimState.SENDING)),
    Part("waiting", gettext_lazy("waiting"), "schedule", (ReclaimState.QUEUED,)),
)


@dataclass(frozen=True, slots=True)
class SendProgress:
    """`follows`: something is still to come, so the page asks again. `holds`: why people wait."""

    total: int
    done: int
    parts: list[Part]
    follows: bool
    holds: list[str]
    look_at: list[dict[str, Any]]
    url: str
    verb: str

    @property
    def sentence(self) -> str:
        if self.follows:
            return _("{done} of {total} are done").format(done=number(self.done), total=number(self.total))
        shown = ", ".join(f"{number(part.count)} {part.label}" for part in self.parts if part.count)
        said = ngettext("{total} person is done: {parts}", "All {total} are done: {parts}", self.total)
        return said.format(total=number(self.total), parts=shown)


def progress_of(request: ReclaimRequest) -> SendProgress | None:
    """None for a request that is not approved."""
    if request.state != RequestState.APPROVED:
        return None
    mine = Reclaim.objects.filter(removal__request=request.pk).order_by()
    unread = Count("pk", filter=Q(state=ReclaimState.IN_DOUBT, read_back=""))
    counted = list(mine.values_list("state", "hold_reason").annotate(n=Count("pk"), unread=unread))
    states, holds, to_read = Counter[str](), Counter[str](), 0
    for state, hold, found, unread_found in counted:
        states[state] += found
        to_read += unread_found
        if hold and state == ReclaimState.QUEUED:
            holds[hold] += found
    parts = _parts(states)
    under_way = sum(part.count for part in parts if part.name in ("sending", "waiting")) + to_read
    total = states.total()
    return SendProgress(
        total=total,
        done=total - under_way,
        parts=parts,
        follows=under_way > 0,
        holds=[
            _("{count} wait: {reason}").format(count=number(count), reason=HoldReason(reason).label)
            for reason, count in holds.most_common()
        ],
        look_at=_look_at(request) if any(states[state] for state in FAILURES) else [],
        url=reverse("admin:subscriptions_reclaimrequest_progress", args=[request.pk]),
        verb="restored" if request.direction == Direction.REACTIVATE else "reclaimed",
    )


def _parts(states: Counter[str]) -> list[Part]:
    parts, start = [], 0
    for part in PARTS:
        count = sum(states[state] for state in part.states)
        parts.append(Part(part.name, part.label, part.icon, part.states, count, start))
        start += count
    return parts


def _look_at(request: ReclaimRequest) -> list[dict[str, Any]]:
    rows = Reclaim.objects.filter(removal__request=request.pk, state__in=FAILURES)
    return [
        {
            "name": person_of(row.removal.evidence),
            "badge": reclaim_badge(row),
            "outcome": outcome_sentence(row),
            "url": reverse("admin:subscriptions_reclaim_change", args=[row.pk]),
        }
        for row in rows.select_related("removal").order_by("-finished_at", "pk")[:NAMED]
    ]


def progress_view(request: HttpRequest, pk: int) -> HttpResponse:
    """The answer that the page of a request asks for. At rest, the browser reloads the page."""
    if not request.user.has_perm(VIEW):
        raise PermissionDenied
    progress = progress_of(get_object_or_404(ReclaimRequest, pk=pk))
    if progress is None or not progress.follows:
        return HttpResponse(status=204, headers={"HX-Refresh": "true"})
    return render(request, ANSWER, {"progress": progress})
