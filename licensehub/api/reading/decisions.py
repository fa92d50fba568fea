"""Requests with their people and decisions, and the history of what was sent."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django.contrib.auth.models import User
from django.http import HttpRequest
from ninja import Schema
from pydantic import Field

from licensehub.api.access.caller import caller_of
from licensehub.api.reading.rows import Coded, Cursor, Id, Limit, Page, one_for, page, rows_for
from licensehub.api.router import router
from licensehub.ui.lists.paging import keyset
from subscriptions.admin.approvals.permissions import permissions_for
from subscriptions.candidates.request_digest import shown_digest
from subscriptions.models import (
    Answer,
    Direction,
    HoldReason,
    Reclaim,
    ReclaimRequest,
    ReclaimState,
    RequestedRemoval,
    RequestState,
)

TAGS = ["Decisions"]


class RequestOut(Schema):
    """A request to reclaim seats, or to restore people. `requested_by` is null for the schedule."""

    id: int
    number: str
    profile: int
    direction: Direction
    state: Coded
    people: int = Field(description="Those who were not dropped")
    cap: int
    requested_by: str | None
    requested_at: datetime
    reason: str
    answers_until: datetime | None
    expires_at: datetime
    cap_raised_by: str | None
    decided_by: str | None
    decided_at: datetime | None
    comment: str
    valid_until: datetime | None


class RequestPage(RequestOut):
    """`digest` and `revision` name the list of people as it is now. A decision has to give both."""

    revision: int
    digest: str
    may_decide: bool = Field(description="Whether the account of this token may decide it now")
    why_not: str


class PersonOut(Schema):
    """A person in a request, with the evidence that the request froze."""

    id: int
    candidate: int
    subscription: int
    external_id: str
    name: str
    email: str
    evidence: dict[str, Any]
    answer: Coded | None
    answered_at: datetime | None
    dropped_at: datetime | None
    drop_reason: str


class ReclaimOut(Schema):
    """One send: a deactivation, or a reactivation. `outcome` is its result in a sentence."""

    id: int
    profile: int
    direction: Direction
    state: Coded
    request: int
    subscription: int
    external_id: str
    name: str
    email: str
    requested_by: str | None
    decided_by: str | None
    queued_at: datetime
    hold_reason: Coded | None
    sending_at: datetime | None
    finished_at: datetime | None
    outcome: str
    read_back: str
    read_back_at: datetime | None
    why_not_restore: str = Field(description="Why it cannot be restored; empty when it can")


def _name(user: User | None) -> str | None:
    return user.get_username() if user else None


def request_out(row: Any) -> dict[str, Any]:
    state = RequestState(row.state)
    return {
        "id": row.pk,
        "number": row.number,
        "profile": row.profile_id,
        "direction": row.direction,
        "state": {"code": state.value, "label": str(state.label)},
        "people": row.people_standing,
        "cap": row.cap,
        "requested_by": _name(row.requested_by),
        "requested_at": row.requested_at,
        "reason": row.reason,
        "answers_until": row.answers_until,
        "expires_at": row.expires_at,
        "cap_raised_by": _name(row.cap_raised_by),
        "decided_by": _name(row.decided_by),
        "decided_at": row.decided_at,
        "comment": row.comment,
        "valid_until": row.valid_until,
    }


@router.get("/requests", tags=TAGS, response=Page[RequestOut], summary="Requests and their decisions")
def requests(
    request: HttpRequest, cursor: Cursor, limit: Limit, profile: Id | None = None, state: RequestState | None = None
) -> Any:
    """The newest first."""
    rows = rows_for(request, ReclaimRequest)
    if profile is not None:
        rows = rows.filter(profile=profile)
    if state is not None:
        rows = rows.filter(state=state)
    order = keyset.Order(ReclaimRequest, "pk", descending=True)
    return page(rows, order, cursor, limit, lambda shown: [request_out(row) for row in shown])


@router.get("/requests/{pk}", tags=TAGS, response=RequestPage, summary="One request, with what a decision has to name")
def request_page(request: HttpRequest, pk: Id) -> Any:
    return page_of(request, one_for(request, ReclaimRequest, pk))


def page_of(request: HttpRequest, row: ReclaimRequest) -> dict[str, Any]:
    allowed = permissions_for(row, caller_of(request).user)
    return {
        **request_out(row),
        "revision": row.revision,
        "digest": shown_digest(row, row.removals.select_related("candidate__subscription")),
        "may_decide": allowed.decide,
        "why_not": allowed.why_not,
    }


def _person_out(row: RequestedRemoval) -> dict[str, Any]:
    seat = row.candidate.subscription
    answer = Answer(row.answer) if row.answer else None
    return {
        "id": row.pk,
        "candidate": row.candidate_id,
        "subscription": seat.pk,
        "external_id": seat.external_id,
        "name": seat.name,
        "email": seat.email,
        "evidence": row.evidence,
        "answer": {"code": answer.value, "label": str(answer.label)} if answer else None,
        "answered_at": row.answered_at,
        "dropped_at": row.dropped_at,
        "drop_reason": row.drop_reason,
    }


@router.get("/requests/{pk}/people", tags=TAGS, response=Page[PersonOut], summary="The people of a request")
def people(request: HttpRequest, pk: Id, cursor: Cursor, limit: Limit) -> Any:
    row = one_for(request, ReclaimRequest, pk)
    rows = row.removals.select_related("candidate__subscription").defer("candidate__evidence")
    order = keyset.Order(RequestedRemoval, "pk")
    return page(rows, order, cursor, limit, lambda shown: [_person_out(one) for one in shown])


def reclaim_out(row: Any) -> dict[str, Any]:
    state, seat, asked = ReclaimState(row.state), row.subscription, row.removal.request
    hold = HoldReason(row.hold_reason) if row.hold_reason else None
    return {
        "id": row.pk,
        "profile": row.profile_id,
        "direction": row.direction,
        "state": {"code": state.value, "label": str(state.label)},
        "request": asked.pk,
        "subscription": seat.pk,
        "external_id": seat.external_id,
        "name": seat.name,
        "email": seat.email,
        "requested_by": _name(asked.requested_by),
        "decided_by": _name(asked.decided_by),
        "queued_at": row.queued_at,
        "hold_reason": {"code": hold.value, "label": str(hold.label)} if hold else None,
        "sending_at": row.sending_at,
        "finished_at": row.finished_at,
        "outcome": row.outcome,
        "read_back": row.read_back,
        "read_back_at": row.read_back_at,
        "why_not_restore": row.why_not,
    }


@router.get("/history", tags=TAGS, response=Page[ReclaimOut], summary="Reclaims and restores, and how each ended")
def history(
    request: HttpRequest,
    cursor: Cursor,
    limit: Limit,
    profile: Id | None = None,
    state: ReclaimState | None = None,
    request_id: Id | None = None,
) -> Any:
    """The newest first. `request_id` narrows it to one request."""
    rows = rows_for(request, Reclaim)
    if profile is not None:
        rows = rows.filter(profile=profile)
    if state is not None:
        rows = rows.filter(state=state)
    if request_id is not None:
        rows = rows.filter(removal__request=request_id)
    order = keyset.Order(Reclaim, "queued_at", descending=True)
    return page(rows, order, cursor, limit, lambda shown: [reclaim_out(row) for row in shown])


@router.get("/history/{pk}", tags=TAGS, response=ReclaimOut, summary="One send")
def reclaim(request: HttpRequest, pk: Id) -> Any:
    return reclaim_out(one_for(request, Reclaim, pk))
