"""Subscriptions with their verdicts, and removal candidates."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, datetime
from typing import Annotated, Any

from django.db.models import QuerySet
from django.http import HttpRequest
from ninja import Query, Schema
from pydantic import Field

from licensehub.api.reading.rows import Coded, Cursor, Id, Limit, Page, one_for, page, rows_for
from licensehub.api.router import router
from licensehub.ui.lists.paging import keyset
from licensehub.ui.time_zones import company_midnight
from subscriptions.eligibility.clauses import checks, explain
from subscriptions.eligibility.sentences import vendor_says_now
from subscriptions.eligibility.terms import terms_of
from subscriptions.models import CandidateState, CloseReason, Protection, RemovalCandidate, Subscription, Verdict
from subscriptions.models.subscription import HELD
from subscriptions.search import matching

TAGS = ["People"]
Word = Annotated[str, Query("", max_length=120)]


class VerdictOut(Coded):
    """`reason` says in a sentence why the person is a candidate, or why not."""

    reason: str


class SubscriptionOut(Schema):
    """One person in one organization, as the last download saw them."""

    id: int
    profile: int
    external_id: str = Field(description="The vendor's id of the person")
    name: str
    email: str
    department: str
    cost_center: str
    license: Coded
    role: Coded
    admin_roles: list[str]
    active: bool
    left_at: datetime | None
    last_activity_at: datetime | None
    vendor_says_now: str
    license_assigned_at: datetime | None
    idle_since: datetime | None = Field(description="The last activity, else the day of the license")
    facts_at: datetime
    verdict: VerdictOut


class CheckOut(Schema):
    """One clause of the rule. `passed` is null for a clause that was not asked."""

    label: str
    fact: str
    passed: bool | None


class SubscriptionPage(SubscriptionOut):
    """With all clauses of the rule, the protections that cover the person, and the open candidate."""

    checks: list[CheckOut]
    protections: list[str]
    open_candidate: int | None


class CandidateOut(Schema):
    """A person whose seat can be reclaimed. `evidence` is what was known when they became a candidate."""

    id: int
    profile: int
    subscription: int
    external_id: str
    name: str
    email: str
    state: Coded
    close_reason: Coded | None
    why: str
    attention: str
    since: datetime
    state_changed_at: datetime
    run: int
    evidence: dict[str, Any]


def subscription_out(row: Subscription) -> dict[str, Any]:
    return {
        "id": row.pk,
        "profile": row.profile_id,
        "external_id": row.external_id,
        "name": row.name,
        "email": row.email,
        "department": row.department,
        "cost_center": row.cost_center,
        "license": {"code": row.license, "label": row.license_label},
        "role": {"code": row.role, "label": row.role_label},
        "admin_roles": list(row.admin_roles),
        "active": row.active,
        "left_at": row.gone_at,
        "last_activity_at": row.last_activity_at,
        "vendor_says_now": vendor_says_now(row) if row.dates_went_back else "",
        "license_assigned_at": row.license_assigned_at,
        "idle_since": row.idle_since,
        "facts_at": row.facts_at,
        "verdict": {
            "code": row.verdict.value,
            "label": str(row.verdict.label),
            "reason": explain(row, terms_of(row.profile)),
        },
    }


@router.get("/subscriptions", tags=TAGS, response=Page[SubscriptionOut], summary="People with license and verdict")
def subscriptions(
    request: HttpRequest,
    cursor: Cursor,
    limit: Limit,
    q: Annotated[str, Query("", max_length=200, description="Words of the name, the e-mail, or the vendor's id")],
    department: Word,
    license: Word,
    profile: Id | None = None,
    verdict: Verdict | None = None,
    idle_before: Annotated[date | None, Query(None, description="Not used since this day, or never")] = None,
    holds_seat: bool | None = None,
) -> Any:
    """The longest idle first; people without any date come last."""
    rows: QuerySet[Subscription] = rows_for(request, Subscription)
    order = keyset.Order(Subscription, "idle_since")
    if profile is not None:
        rows = rows.filter(profile=profile)
    if verdict is not None and verdict != Verdict.NOT_EVALUATED:
        rows = rows.with_verdict(verdict)  # type: ignore[attr-defined]  # the queryset of the model
        order = replace(order, column="evaluation__idle_since", key="evaluation__subscription_id")
    elif verdict is not None:
        rows = rows.filter(evaluation=None)
    if license:
        rows = rows.filter(license=license)
    if department:
        rows = rows.filter(search__department=department)
    if idle_before is not None:
        rows = rows.filter(idle_since__lt=company_midnight(idle_before))
    if holds_seat is not None:
        rows = rows.filter(HELD) if holds_seat else rows.exclude(HELD)
    if q.strip():
        rows = rows.filter(matching("pk", q))
    return page(rows, order, cursor, limit, lambda shown: [subscription_out(row) for row in shown])


@router.get(
    "/subscriptions/{pk}", tags=TAGS, response=SubscriptionPage, summary="One person, and why they have this verdict"
)
def subscription(request: HttpRequest, pk: Id) -> Any:
    row = one_for(request, Subscription, pk)
    covering = Protection.objects.covering(row).select_related("profile", "created_by")
    candidate = RemovalCandidate.objects.open().filter(subscription=row).first()
    return {
        **subscription_out(row),
        "checks": [
            {"label": one.label, "fact": one.fact, "passed": one.passed} for one in checks(row, terms_of(row.profile))
        ],
        "protections": [one.sentence for one in covering],
        "open_candidate": candidate.pk if candidate else None,
    }


def candidate_out(row: RemovalCandidate) -> dict[str, Any]:
    state = CandidateState(row.state)
    reason = CloseReason(row.close_reason) if row.close_reason else None
    return {
        "id": row.pk,
        "profile": row.profile_id,
        "subscription": row.subscription_id,
        "external_id": row.subscription.external_id,
        "name": row.subscription.name,
        "email": row.subscription.email,
        "state": {"code": state.value, "label": str(state.label)},
        "close_reason": {"code": reason.value, "label": str(reason.label)} if reason else None,
        "why": str(row.evidence.get("why", "")),
        "attention": row.attention,
        "since": row.created_at,
        "state_changed_at": row.state_changed_at,
        "run": row.run_id,
        "evidence": row.evidence,
    }


@router.get("/candidates", tags=TAGS, response=Page[CandidateOut], summary="Removal candidates")
def candidates(
    request: HttpRequest, cursor: Cursor, limit: Limit, profile: Id | None = None, state: CandidateState | None = None
) -> Any:
    """The longest idle first."""
    rows = rows_for(request, RemovalCandidate)
    if profile is not None:
        rows = rows.filter(profile=profile)
    if state is not None:
        rows = rows.filter(state=state)
    order = keyset.Order(RemovalCandidate, "idle_since")
    return page(rows, order, cursor, limit, lambda shown: [candidate_out(row) for row in shown])


@router.get("/candidates/{pk}", tags=TAGS, response=CandidateOut, summary="One removal candidate")
def candidate(request: HttpRequest, pk: Id) -> Any:
    return candidate_out(one_for(request, RemovalCandidate, pk))
