"""The page of a request to restore several people, before and after its decision."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Any

from django.db.models import Count
from django.db.models.fields.json import KeyTextTransform
from django.urls import reverse
from django.utils.safestring import SafeString
from django.utils.text import capfirst
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from licensehub.ui.formatting import ago, day, inside, name_of
from subscriptions.admin.reclaims.free_licenses import free_context
from subscriptions.admin.widgets.badges import outcome_sentence, reclaim_badge
from subscriptions.admin.widgets.counts import people
from subscriptions.admin.widgets.evidence import license_label, now_called, person_of
from subscriptions.models import Reclaim, ReclaimRequest, ReclaimState, RequestedRemoval, RequestState
from subscriptions.reclaims.restores import notes

TEMPLATE = "admin/subscriptions/reclaimrequest/restore.html"


@dataclass(frozen=True, slots=True)
class Row:
    """One person, and the reclaim that is to be undone."""

    removal: RequestedRemoval
    name: str
    email: str
    now: str
    reclaimed: str
    reclaimed_ago: str
    reclaim_url: str
    license: str
    dropped: str
    can_come_back: bool
    restore_url: str
    badge: SafeString | str
    outcome: str


def restore_page(request: ReclaimRequest, response: Any) -> Any:
    """The page of a restore, made from `response`, the page of a reclaim request."""
    response.template_name = TEMPLATE
    response.context_data |= {
        "people": people_of(request),
        "second_person": request.decided_by_id is not None,
        "results": results_of(request),
        **(_free_now(request) if request.state == RequestState.OPEN else {}),
        **notes(request.profile),
    }
    return response


def _free_now(request: ReclaimRequest) -> dict[str, Any]:
    needed = Counter(removal.evidence["license"] for removal in request.removals.not_dropped())
    return free_context(request.profile, needed)


def results_of(request: ReclaimRequest) -> list[str]:
    """The licenses that these restores gave back, as sentences with counts; empty before the first one has ended."""
    ended = Reclaim.objects.filter(removal__request=request).exclude(finished_at=None)
    columns = ("state", "license_after", KeyTextTransform("license", "removal__evidence"))
    counts = ended.order_by().values_list(*columns).annotate(n=Count("pk")).order_by("-n", *columns[:2])
    return [_ended(request, *row) for row in counts]


def _ended(request: ReclaimRequest, state: str, after: str, before: str, count: int) -> str:
    profile = request.profile
    who, now, then = people(count), license_label(profile, after), license_label(profile, before)
    if state == ReclaimState.FAILED:
        text = _("{vendor} refused {who}. They stay deactivated; the list says why.")
        return text.format(vendor=capfirst(profile.vendor), who=who)
    if state != ReclaimState.DONE:
        return _("{who}: {state}. The list says why.").format(who=who, state=inside(str(ReclaimState(state).label)))
    if not after:
        text = _("{who} can sign in again. The license was not read; the next download reads it.")
    elif after == before:
        text = ngettext("{who} has {license}, as before.", "{who} have {license}, as before.", count)
    else:
        text = ngettext(
            "{who} has {license} now, and had {former} before.",
            "{who} have {license} now, and had {former} before.",
            count,
        )
    return text.format(who=who, license=now, former=then)


def people_of(request: ReclaimRequest) -> list[Row]:
    removals = request.removals.select_related(
        "candidate__profile",
        "candidate__subscription",
        "request",
        "restores",
        "dropped_by",
        "reclaim__profile",
        "reclaim__removal",
    )
    return [_row(removal) for removal in removals]


def _row(removal: RequestedRemoval) -> Row:
    taken, item = removal.restores, getattr(removal, "reclaim", None)
    finished = taken.finished_at if taken else None
    return Row(
        removal=removal,
        name=person_of(removal.evidence),
        email=removal.evidence["email"],
        now=now_called(removal.evidence, removal.candidate.subscription),
        reclaimed=day(finished),
        reclaimed_ago=ago(finished),
        reclaim_url=_page_of(taken.pk) if taken else "",
        license=license_label(removal.candidate.profile, removal.evidence["license"]),
        dropped=_("dropped by {name}").format(name=name_of(removal.dropped_by)) if removal.dropped_at else "",
        can_come_back=removal.dropped_by_id is not None and removal.request.state == RequestState.OPEN,
        restore_url=_page_of(item.pk) if item else "",
        badge=reclaim_badge(item) if item else "",
        outcome=outcome_sentence(item) if item else "",
    )


def _page_of(pk: int) -> str:
    return reverse("admin:subscriptions_reclaim_change", args=[pk])
