"""What the page of a reclaim request shows: its people, what changed about them, and what the reader may do."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from statistics import median
from typing import Any

from django.contrib.auth.models import AnonymousUser, User
from django.urls import reverse
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString

from licensehub.ui.export import Column
from licensehub.ui.formatting import ago, day
from subscriptions.admin.approvals.answers import Reply, progress, reply_of
from subscriptions.admin.approvals.caps import CapStatus, cap_status, why_not_raise
from subscriptions.admin.approvals.impact import impact_of
from subscriptions.admin.reclaims.steps import name_of, requester_of
from subscriptions.admin.widgets.badges import outcome_sentence, reclaim_badge, request_badge
from subscriptions.admin.widgets.evidence import (
    Change,
    change_since,
    fingerprint,
    last_activity,
    license_label,
    person_of,
    run_number,
)
from subscriptions.approvals.closing import WAITING
from subscriptions.eligibility.terms import Terms
from subscriptions.errors import Refused, refuse_self
from subscriptions.models import (
    Answer,
    Direction,
    Reclaim,
    ReclaimRequest,
    ReclaimState,
    RequestedRemoval,
    RequestState,
)
from subscriptions.reclaims import switches
from subscriptions.reclaims.switches import Operation

DECIDE = "subscriptions.decide_reclaimrequest"
ASK = "subscriptions.request_removalcandidate"
# So many people stand open on the page; so many others, all without a change, wait folded. The export has them all.
SHOWN = 30
FOLDED = 500


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody in the request, and what changed about them since."""

    removal: RequestedRemoval
    change: Change

    @property
    def is_dropped(self) -> bool:
        return self.removal.dropped_at is not None

    @property
    def is_changed(self) -> bool:
        return self.is_dropped or self.change.changed

    @property
    def is_news(self) -> bool:
        """Belongs to the top of the list."""
        return self.is_changed or self.removal.answer == Answer.KEEP

    @property
    def reclaim(self) -> Reclaim | None:
        return getattr(self.removal, "reclaim", None)


PEOPLE_COLUMNS: tuple[Column, ...] = (
    ("Person", lambda person: person_of(person.removal.evidence)),
    ("E-mail", lambda person: person.removal.evidence["email"]),
    ("Department", lambda person: person.removal.evidence["department"]),
    ("License", lambda person: person.removal.evidence["license"]),
    ("Last activity", lambda person: person.removal.evidence["last_activity_at"]),
    ("Idle days", lambda person: person.removal.evidence["idle_days"]),
    ("Since the request", lambda person: person.change.text),
    ("Answer", lambda person: person.removal.get_answer_display()),
    ("Dropped", lambda person: person.removal.dropped_at),
    ("Outcome", lambda person: outcome_sentence(person.reclaim) if person.reclaim else ""),
)


@dataclass(frozen=True, slots=True)
class PersonRow:
    """One line of the people's table."""

    removal: RequestedRemoval
    name: str
    second: str
    last_activity: SafeString
    license: str
    change: Change
    is_changed: bool
    reply: Reply | None
    dropped: str
    reclaim: Reclaim | None
    badge: SafeString | str
    outcome: str


@dataclass(frozen=True, slots=True)
class Permissions:
    """What the reader may do with a request, and the sentence that says why not."""

    decide: bool = False
    drop: bool = False
    withdraw: bool = False
    why_not: str = ""


def permissions_for(request: ReclaimRequest, user: User | AnonymousUser, people: list[RequestedRemoval]) -> Permissions:
    """The screen's answer; the functions in `approvals` decide again for themselves."""
    waits = request.state in WAITING and not _overdue(request)
    why_not = _why_not_decide(request, user, people)
    if request.requested_by_id == user.pk:
        return Permissions(drop=waits, withdraw=waits, why_not=why_not)
    if not user.has_perm(DECIDE):
        return Permissions(why_not=why_not)
    return Permissions(decide=waits and not why_not, drop=waits, why_not=why_not)


def _why_not_decide(request: ReclaimRequest, user: User | AnonymousUser, people: list[RequestedRemoval]) -> str:
    if request.requested_by_id == user.pk:
        return "You made this request. Another person has to decide."
    if not user.has_perm(DECIDE):
        return "You can read this request. Only an Approver or a Company admin can decide."
    if request.cap_raised_by_id == user.pk:
        return "You raised the cap of this request. A third person has to decide."
    if request.state == RequestState.COLLECTING:
        return "The people are still being asked. You can decide when they have answered or their time is over."
    return _refused(request, user, people)


def _refused(request: ReclaimRequest, user: User | AnonymousUser, people: list[RequestedRemoval]) -> str:
    """What `approvals` would say in the end; a restore asks other switches."""
    try:
        if isinstance(user, User):
            refuse_self((person.evidence["email"] for person in people), user)
        if request.direction == Direction.DEACTIVATE:
            switches.refuse(request.profile, Operation.APPROVE)
    except Refused as refusal:
        return str(refusal)
    return ""


def _overdue(request: ReclaimRequest) -> bool:
    return request.state == RequestState.OPEN and request.expires_at <= timezone.now()


def may_dry_run(request: ReclaimRequest, user: User | AnonymousUser) -> bool:
    """A dry run asks the vendor and keeps fresh facts: for those who ask or decide, until everything is sent."""
    involved = user.has_perm(DECIDE) or user.has_perm(ASK)
    return involved and request.state in (*WAITING, RequestState.APPROVED)


def people_of(request: ReclaimRequest) -> list[Person]:
    """Changed ones, and who wants to keep the seat, first; who was dropped stands among them."""
    removals = (
        request.removals.select_related("candidate__subscription__evaluation", "dropped_by", "reclaim")
        .defer("candidate__evidence")
        .order_by("candidate__subscription__idle_since", "pk")
    )
    people = [_person(removal, request) for removal in removals]
    return sorted(people, key=lambda person: not person.is_news)


def _person(removal: RequestedRemoval, request: ReclaimRequest) -> Person:
    removal.candidate.subscription.profile = request.profile
    return Person(removal, _dropped_by_hand(removal) or change_since(removal.candidate, removal.evidence))


def _row(person: Person, request: ReclaimRequest) -> PersonRow:
    removal, evidence, item = person.removal, person.removal.evidence, person.reclaim
    name = person_of(evidence)
    return PersonRow(
        removal=removal,
        name=name,
        second=evidence["department"] or (evidence["email"] if evidence["email"] != name else ""),
        last_activity=last_activity(evidence),
        license=license_label(request.profile, evidence["license"]),
        change=person.change,
        is_changed=person.is_changed,
        reply=reply_of(removal, request),
        dropped=_dropped(removal),
        reclaim=item,
        badge=reclaim_badge(item) if item else "",
        outcome=outcome_sentence(item) if item else "",
    )


def _dropped(removal: RequestedRemoval) -> str:
    if removal.dropped_at is None:
        return ""
    return f"dropped by {name_of(removal.dropped_by) if removal.dropped_by else 'LicenseHub'}"


def _dropped_by_hand(removal: RequestedRemoval) -> Change | None:
    """A person's drop is the news; what the cool-down made of the verdict since is only its echo."""
    if removal.dropped_at is None or removal.dropped_by is None:
        return None
    return Change(removal.drop_reason or "Stays", day(removal.dropped_at), "neutral", "person_remove")


def tiles(rows: list[Person]) -> dict[str, Any]:
    """The figures above the table, of those who stand."""
    standing = [row for row in rows if not row.is_dropped]
    idle = [row.removal.evidence["idle_days"] for row in standing]
    return {
        "seats": len(standing),
        "requested": len(rows),
        "dropped": len(rows) - len(standing),
        "median": int(median(idle)) if idle else None,
        "shortest": min(idle, default=None),
        "longest": max(idle, default=None),
        "changed": sum(row.change.changed for row in standing),
        "reclaimed": sum(bool(row.reclaim and row.reclaim.state == ReclaimState.DONE) for row in standing),
        "under_way": sum(bool(row.reclaim and row.reclaim.finished_at is None) for row in standing),
    }


def basis(people: Iterable[Person]) -> dict[str, Any]:
    """On which rule and which downloads the list stands, and its fingerprint."""
    removals = [person.removal for person in people]
    terms = [removal.evidence["terms"] for removal in removals]
    pairs = zip(terms, removals, strict=True)
    thresholds = {(json.dumps(frozen, sort_keys=True), removal.evidence["license"]) for frozen, removal in pairs}
    return {
        "versions": sorted({frozen["version"] for frozen in terms}),
        "thresholds": sorted(
            {Terms.from_json(json.loads(frozen)).threshold_for(license) for frozen, license in thresholds}
        ),
        "runs": sorted({(removal.evidence["run"], run_number(removal.evidence)) for removal in removals}),
        "fingerprint": fingerprint(sorted(removals, key=lambda removal: removal.pk)),
    }


def page_context(request: ReclaimRequest, user: User | AnonymousUser) -> dict[str, Any]:
    """The whole context of the page."""
    people = people_of(request)
    standing = [person.removal for person in people if not person.is_dropped]
    waits = request.state in WAITING
    return {
        **_header(request),
        **_table(people, request),
        **_decision(request, user, standing),
        "waits": waits,
        "tiles": tiles(people),
        "basis": basis(people),
        "answers": progress(request, [person.removal for person in people]),
        "impact": impact_of(request, [removal.candidate.subscription for removal in standing])
        if waits or request.state == RequestState.APPROVED
        else [],
    }


def _header(request: ReclaimRequest) -> dict[str, Any]:
    return {
        "reclaim_request": request,
        "requested_ago": ago(request.requested_at),
        "expires_ago": ago(request.expires_at),
        "answers_ago": ago(request.answers_until),
        "badge": request_badge(request),
        "is_open": request.state == RequestState.OPEN,
        "is_collecting": request.state == RequestState.COLLECTING,
        "overdue": _overdue(request),
        "requester": requester_of(request),
        "decider": name_of(request.decided_by),
        "raiser": name_of(request.cap_raised_by),
    }


def _table(people: list[Person], request: ReclaimRequest) -> dict[str, Any]:
    """News is never left to the export, however much of it there is."""
    head = max(SHOWN, sum(person.is_news for person in people))
    shown, others = people[:head], people[head:]
    return {
        "shown": [_row(person, request) for person in shown],
        "folded": [_row(person, request) for person in others[:FOLDED]],
        "export_only": len(others[FOLDED:]),
    }


def _decision(request: ReclaimRequest, user: User | AnonymousUser, standing: list[RequestedRemoval]) -> dict[str, Any]:
    status = cap_status_of(request, len(standing))
    return {
        "caps": status,
        "why_not_raise": why_not_raise(request, user) if status and status.refusal else "",
        "may": permissions_for(request, user, standing),
        "may_dry_run": may_dry_run(request, user),
        "reader": name_of(user),  # type: ignore[arg-type]
        "reject_attrs": format_html(
            'formaction="{}"', reverse("admin:subscriptions_reclaimrequest_reject", args=[request.pk])
        ),
    }


def cap_status_of(request: ReclaimRequest, people: int) -> CapStatus | None:
    """None where no cap speaks: decided already, or a restore."""
    if request.state not in WAITING or request.direction == Direction.REACTIVATE:
        return None
    return cap_status(request, people)
