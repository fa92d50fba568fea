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
from subscriptions.admin.answers import Reply, progress, reply_of
from subscriptions.admin.chips import outcome_sentence, reclaim_chip, request_chip
from subscriptions.admin.consequences import consequences
from subscriptions.admin.evidence import (
    NO_CHANGE,
    Since,
    fingerprint,
    last_activity,
    license_label,
    person_of,
    run_number,
    since,
)
from subscriptions.admin.limits import Limits, limits, why_not_raise
from subscriptions.admin.story import name_of, requester_of
from subscriptions.models import (
    Answer,
    Direction,
    Reclaim,
    ReclaimRequest,
    ReclaimState,
    RequestedRemoval,
    RequestState,
)
from subscriptions.refusals import Refused, refuse_self, refuse_unless_deciding
from subscriptions.request_endings import WAITING
from subscriptions.verdict import Terms

DECIDE = "subscriptions.decide_reclaimrequest"
ASK = "subscriptions.request_removalcandidate"
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
    reply: Reply | None
    dropped: str
    reclaim: Reclaim | None
    chip: SafeString | str
    outcome: str

    @property
    def is_changed(self) -> bool:
        return bool(self.dropped) or self.since.changed

    @property
    def is_news(self) -> bool:
        """Belongs to the top of the list."""
        return self.is_changed or self.removal.answer == Answer.KEEP


@dataclass(frozen=True, slots=True)
class MayI:
    """What the reader may do with a request, and the sentence that says why not."""

    decide: bool = False
    drop: bool = False
    withdraw: bool = False
    why_not: str = ""


def may_i(request: ReclaimRequest, user: User | AnonymousUser, people: list[RequestedRemoval]) -> MayI:
    """The screen's answer; the functions in `approvals` decide again for themselves."""
    waits = request.state in WAITING and not _overdue(request)
    why_not = _why_not_decide(request, user, people)
    if request.requested_by_id == user.pk:
        return MayI(drop=waits, withdraw=waits, why_not=why_not)
    if not user.has_perm(DECIDE):
        return MayI(why_not=why_not)
    return MayI(decide=waits and not why_not, drop=waits, why_not=why_not)


def _why_not_decide(request: ReclaimRequest, user: User | AnonymousUser, people: list[RequestedRemoval]) -> str:
    if request.requested_by_id == user.pk:
        return "You made this request, so another person has to decide on it."
    if not user.has_perm(DECIDE):
        return "You can read this request. Deciding on it takes the role Approver or Company admin."
    if request.cap_raised_by_id == user.pk:
        return "You raised the cap of this request, so a third person has to decide on it."
    if request.state == RequestState.COLLECTING:
        return "Its people are still being asked. It opens for a decision when their answers are in."
    return _refused(request, user, people)


def _refused(request: ReclaimRequest, user: User | AnonymousUser, people: list[RequestedRemoval]) -> str:
    """What `approvals` would say in the end; a restore asks other switches."""
    try:
        if isinstance(user, User):
            refuse_self(people, user)
        if request.direction == Direction.DEACTIVATE:
            refuse_unless_deciding(request.profile)
    except Refused as refusal:
        return str(refusal)
    return ""


def _overdue(request: ReclaimRequest) -> bool:
    return request.state == RequestState.OPEN and request.expires_at <= timezone.now()


def may_try(request: ReclaimRequest, user: User | AnonymousUser) -> bool:
    """A dry run asks Miro and keeps fresh facts: for those who ask or decide, while something may still be sent."""
    involved = user.has_perm(DECIDE) or user.has_perm(ASK)
    return involved and request.state in (*WAITING, RequestState.APPROVED)


def people_of(request: ReclaimRequest) -> list[PersonRow]:
    """Changed ones, and who wants to keep the seat, first; who was dropped stands among them."""
    removals = request.removals.select_related("candidate__subscription__profile", "dropped_by", "reclaim").order_by(
        "candidate__subscription__idle_since", "pk"
    )
    rows = [_person(removal, request) for removal in removals]
    return sorted(rows, key=lambda row: not row.is_news)


def _person(removal: RequestedRemoval, request: ReclaimRequest) -> PersonRow:
    candidate, evidence = removal.candidate, removal.evidence
    name = person_of(evidence)
    item = getattr(removal, "reclaim", None)
    return PersonRow(
        removal=removal,
        name=name,
        second=evidence["department"] or (evidence["email"] if evidence["email"] != name else ""),
        last_activity=last_activity(evidence),
        license=license_label(candidate.subscription.profile, evidence["license"]),
        since=_dropped_by_hand(removal) or _since(removal, request),
        reply=reply_of(removal, request),
        dropped=_dropped(removal),
        reclaim=item,
        chip=reclaim_chip(item) if item else "",
        outcome=outcome_sentence(item) if item else "",
    )


def _since(removal: RequestedRemoval, request: ReclaimRequest) -> Since:
    """Whoever is to be restored is deactivated, and that is no news."""
    if request.direction == Direction.DEACTIVATE:
        return since(removal.candidate, removal.evidence)
    row = removal.candidate.subscription
    return Since("Active at Miro already", f"seen {day(row.facts_at)}", "ok", "login") if row.active else NO_CHANGE


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
    standing = [row.removal for row in rows if not row.dropped]
    waits = request.state in WAITING
    return {
        **_head(request),
        **_table(rows),
        **_decision(request, user, standing),
        "waits": waits,
        "is_restore": request.direction == Direction.REACTIVATE,
        "tiles": tiles(rows),
        "basis": basis(rows),
        "answers": progress(request, [row.removal for row in rows]),
        "consequences": consequences(request, [removal.candidate.subscription for removal in standing])
        if waits or request.state == RequestState.APPROVED
        else [],
    }


def _head(request: ReclaimRequest) -> dict[str, Any]:
    return {
        "asked": request,
        "asked_ago": ago(request.requested_at),
        "expires_ago": ago(request.expires_at),
        "answers_ago": ago(request.answers_until),
        "chip": request_chip(request),
        "is_open": request.state == RequestState.OPEN,
        "is_collecting": request.state == RequestState.COLLECTING,
        "overdue": _overdue(request),
        "requester": requester_of(request),
        "decider": name_of(request.decided_by),
        "raiser": name_of(request.cap_raised_by),
    }


def _table(rows: list[PersonRow]) -> dict[str, Any]:
    head = max(SHOWN, sum(row.is_news for row in rows))
    return {"shown": rows[:head], "folded": rows[head:]}


def _decision(request: ReclaimRequest, user: User | AnonymousUser, standing: list[RequestedRemoval]) -> dict[str, Any]:
    found = limits_of(request, len(standing))
    return {
        "limits": found,
        "why_not_raise": why_not_raise(request, user) if found and found.refusal else "",
        "may": may_i(request, user, standing),
        "may_try": may_try(request, user),
        "reader": name_of(user),  # type: ignore[arg-type]
        "reject_to": format_html(
            'formaction="{}"', reverse("admin:subscriptions_reclaimrequest_reject", args=[request.pk])
        ),
    }


def limits_of(request: ReclaimRequest, people: int) -> Limits | None:
    """None where no cap speaks: decided already, or a restore."""
    if request.state not in WAITING or request.direction == Direction.REACTIVATE:
        return None
    return limits(request, people)
