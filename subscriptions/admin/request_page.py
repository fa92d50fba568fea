"""What the page of a reclaim request shows: its people, what changed about them, and what the reader may do."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from statistics import median
from typing import Any

from django.contrib.auth.models import AnonymousUser, User
from django.urls import reverse
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString

from integrations.presentation import ago, day
from subscriptions.admin.chips import outcome_sentence, reclaim_chip, request_chip
from subscriptions.admin.evidence import Since, fingerprint, last_activity, license_label, person_of, run_number, since
from subscriptions.admin.story import name_of
from subscriptions.models import Reclaim, ReclaimRequest, ReclaimState, RequestedRemoval, RequestState
from subscriptions.verdict import Terms

DECIDE = "subscriptions.decide_reclaimrequest"
# So many people stand open on the page; the others, all without a change, wait folded.
SHOWN = 30


@dataclass(frozen=True, slots=True)
class PersonRow:
    """One line of the people's table."""

    removal: RequestedRemoval
    name: str
    second: str
    last_activity: SafeString
    license: str
    since: Since
    dropped: str
    reclaim: Reclaim | None
    chip: SafeString | str
    outcome: str


@dataclass(frozen=True, slots=True)
class MayI:
    """What the reader may do with an open request, and the sentence that says why not."""

    decide: bool
    drop: bool
    withdraw: bool
    why_not: str = ""


def may_i(request: ReclaimRequest, user: User | AnonymousUser) -> MayI:
    """The screen's answer; the functions in `approvals` decide again for themselves."""
    is_open = request.state == RequestState.OPEN and request.expires_at > timezone.now()
    mine = request.requested_by_id == user.pk
    decides = user.has_perm(DECIDE)
    if mine:
        return MayI(False, is_open, is_open, "You made this request, so another person has to decide on it.")
    if not decides:
        return MayI(
            False, False, False, "You can read this request. Deciding on it takes the role Approver or Company admin."
        )
    return MayI(is_open, is_open, False)


def people_of(request: ReclaimRequest) -> list[PersonRow]:
    """Changed ones first; who was dropped stands among them."""
    removals = request.removals.select_related("candidate__subscription__profile", "dropped_by", "reclaim").order_by(
        "candidate__subscription__idle_since", "pk"
    )
    rows = [_person(removal) for removal in removals]
    return sorted(rows, key=lambda row: not (row.dropped or row.since.changed))


def _person(removal: RequestedRemoval) -> PersonRow:
    candidate, evidence = removal.candidate, removal.evidence
    name = person_of(evidence)
    item = getattr(removal, "reclaim", None)
    return PersonRow(
        removal=removal,
        name=name,
        second=evidence["department"] or (evidence["email"] if evidence["email"] != name else ""),
        last_activity=last_activity(evidence),
        license=license_label(candidate.subscription.profile, evidence["license"]),
        since=_dropped_by_hand(removal) or since(candidate, evidence),
        dropped=_dropped(removal),
        reclaim=item,
        chip=reclaim_chip(item) if item else "",
        outcome=outcome_sentence(item) if item else "",
    )


def _dropped(removal: RequestedRemoval) -> str:
    if removal.dropped_at is None:
        return ""
    return f"dropped by {name_of(removal.dropped_by) if removal.dropped_by else 'LicenseHub'}"


def _dropped_by_hand(removal: RequestedRemoval) -> Since | None:
    """A person's drop is the news; what the cool-down made of the verdict since is only its echo."""
    if removal.dropped_at is None or removal.dropped_by is None:
        return None
    return Since(removal.drop_reason or "Stays", day(removal.dropped_at), "neutral", "person_remove")


def tiles(rows: list[PersonRow]) -> dict[str, Any]:
    """The figures above the table, of those who stand."""
    standing = [row for row in rows if not row.dropped]
    idle = [row.removal.evidence["idle_days"] for row in standing]
    return {
        "seats": len(standing),
        "requested": len(rows),
        "dropped": len(rows) - len(standing),
        "median": int(median(idle)) if idle else None,
        "shortest": min(idle, default=None),
        "longest": max(idle, default=None),
        "changed": sum(row.since.changed for row in standing),
        "reclaimed": sum(bool(row.reclaim and row.reclaim.state == ReclaimState.DONE) for row in standing),
        "under_way": sum(bool(row.reclaim and row.reclaim.finished_at is None) for row in standing),
    }


def basis(rows: Iterable[PersonRow]) -> dict[str, Any]:
    """On which rule and which downloads the list stands, and its fingerprint."""
    removals = [row.removal for row in rows]
    terms = [Terms.thaw(removal.evidence["terms"]) for removal in removals]
    return {
        "versions": sorted({term.version for term in terms}),
        "thresholds": sorted(
            {term.threshold_for(removal.evidence["license"]) for term, removal in zip(terms, removals, strict=True)}
        ),
        "runs": sorted({(removal.evidence["run"], run_number(removal.evidence)) for removal in removals}),
        "fingerprint": fingerprint(sorted(removals, key=lambda removal: removal.pk)),
    }


def page(request: ReclaimRequest, user: User | AnonymousUser) -> dict[str, Any]:
    """The whole context of the page."""
    rows = people_of(request)
    head = max(SHOWN, sum(bool(row.dropped or row.since.changed) for row in rows))
    is_open = request.state == RequestState.OPEN
    return {
        "asked": request,
        "asked_ago": ago(request.requested_at),
        "expires_ago": ago(request.expires_at),
        "reject_to": format_html(
            'formaction="{}"', reverse("admin:subscriptions_reclaimrequest_reject", args=[request.pk])
        ),
        "chip": request_chip(request),
        "is_open": is_open,
        "overdue": is_open and request.expires_at <= timezone.now(),
        "shown": rows[:head],
        "folded": rows[head:],
        "tiles": tiles(rows),
        "basis": basis(rows),
        "may": may_i(request, user),
        "reader": name_of(user),  # type: ignore[arg-type]
        "requester": name_of(request.requested_by),
        "decider": name_of(request.decided_by),
    }
