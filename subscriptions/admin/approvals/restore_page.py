"""The page of a request to restore several people, before and after its decision."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from django.urls import reverse
from django.utils.safestring import SafeString

from licensehub.ui.formatting import ago, day
from subscriptions.admin.reclaims.steps import name_of
from subscriptions.admin.widgets.badges import outcome_sentence, reclaim_badge
from subscriptions.admin.widgets.evidence import license_label, now_called, person_of
from subscriptions.models import ReclaimRequest, RequestedRemoval
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
    restore_url: str
    badge: SafeString | str
    outcome: str


def restore_page(request: ReclaimRequest, response: Any) -> Any:
    """The page of a restore, made from `response`, the page of a reclaim request."""
    response.template_name = TEMPLATE
    response.context_data |= {
        "people": people_of(request),
        "second_person": request.decided_by_id is not None,
        **notes(request.profile),
    }
    return response


def people_of(request: ReclaimRequest) -> list[Row]:
    removals = request.removals.select_related(
        "candidate__profile",
        "candidate__subscription",
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
        dropped=f"dropped by {name_of(removal.dropped_by)}" if removal.dropped_at else "",
        restore_url=_page_of(item.pk) if item else "",
        badge=reclaim_badge(item) if item else "",
        outcome=outcome_sentence(item) if item else "",
    )


def _page_of(pk: int) -> str:
    return reverse("admin:subscriptions_reclaim_change", args=[pk])
