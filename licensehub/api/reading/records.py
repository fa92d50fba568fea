"""Profiles, download runs, protections, and the events of the audit."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Annotated, Any

from django.contrib.auth.models import User
from django.http import HttpRequest
from ninja import Query, Schema
from pydantic import Field

from integrations.models import IntegrationProfile, ProfileState
from licensehub.api.reading.rows import Coded, Cursor, Id, Limit, Page, one_for, page, rows_for
from licensehub.api.router import router
from licensehub.audit.models import AuditEvent
from licensehub.ui.formatting import name_of
from licensehub.ui.lists.paging import keyset
from subscriptions.models import DownloadRun, Protection, ProtectionKind, RunState
from subscriptions.reclaims.lost_answers import waits

TAGS = ["Records"]


class ProfileOut(Schema):
    """An integration profile: one organization at one vendor."""

    id: int
    name: str
    kind: str
    vendor: str
    organization_id: str
    organization_name: str
    state: Coded
    reclaims: bool = Field(description="Whether “Reclaim subscriptions” is on")
    connections_in_error: int
    last_complete_run_at: datetime | None
    activity_in_doubt_since: datetime | None
    held_because: str
    answers_lost_since: datetime | None = Field(
        description="Since when approved reclaims wait, because the vendor's answers to the last ones were lost"
    )


class RunOut(Schema):
    """One download. `problem` says what stopped it, and what to do next."""

    id: int
    number: str
    profile: int
    state: Coded
    started_by: str
    started_at: datetime
    finished_at: datetime | None
    read: int
    new: int
    changed: int
    gone: int
    unchanged: int
    problem: str
    purchased: dict[str, int]
    stats: dict[str, Any]


class ProtectionOut(Schema):
    """Somebody, or everybody with a domain, license or role, is left alone. `sentence` says why."""

    id: int
    profile: int
    kind: ProtectionKind
    value: str
    external_id: str
    state: str = Field(description="in_force, lost (it covers nobody any more) or ended")
    sentence: str
    reason: str
    owner: str
    ends_at: datetime | None
    created_by: str
    created_at: datetime
    ended_by: str | None
    ended_at: datetime | None
    covered: int | None


class EventOut(Schema):
    """One event of the audit. Its label and data are empty where they were erased."""

    sequence: int
    at: datetime
    action: Coded
    actor: str
    actor_id: int | None
    target_type: str
    target_id: int
    target: str
    data: dict[str, Any]
    correlation: str
    hash: str


def profiles_out(rows: Iterable[Any]) -> list[dict[str, Any]]:
    waiting_since = {profile.pk: since for profile, since in waits()}
    return [_profile_out(row, waiting_since.get(row.pk)) for row in rows]


def _profile_out(row: Any, answers_lost_since: datetime | None) -> dict[str, Any]:
    state = ProfileState(row.state)
    return {
        "id": row.pk,
        "name": row.name,
        "kind": row.kind,
        "vendor": row.vendor,
        "organization_id": row.organization_id,
        "organization_name": row.organization_name,
        "state": {"code": state.value, "label": str(state.label)},
        "reclaims": row.reclaim_enabled,
        "connections_in_error": row.broken,
        "last_complete_run_at": row.last_complete,
        "activity_in_doubt_since": row.activity_doubted_at,
        "held_because": row.held_why if row.held_at else "",
        "answers_lost_since": answers_lost_since,
    }


@router.get("/profiles", tags=TAGS, response=Page[ProfileOut], summary="Integration profiles")
def profiles(request: HttpRequest, cursor: Cursor, limit: Limit) -> Any:
    rows = rows_for(request, IntegrationProfile)
    order = keyset.Order(IntegrationProfile, "pk")
    return page(rows, order, cursor, limit, profiles_out)


@router.get("/profiles/{pk}", tags=TAGS, response=ProfileOut, summary="One integration profile")
def profile(request: HttpRequest, pk: Id) -> Any:
    return profiles_out([one_for(request, IntegrationProfile, pk)])[0]


def run_out(row: DownloadRun) -> dict[str, Any]:
    state = RunState(row.state)
    names = ("read", "new", "changed", "gone", "unchanged", "problem", "purchased", "stats")
    return {
        "id": row.pk,
        "number": row.number,
        "profile": row.profile_id,
        "state": {"code": state.value, "label": str(state.label)},
        "started_by": name_of(row.started_by_user) if row.started_by_user else row.started_by,
        "started_at": row.started_at,
        "finished_at": row.finished_at,
        **{name: getattr(row, name) for name in names},
    }


@router.get("/runs", tags=TAGS, response=Page[RunOut], summary="Download runs")
def runs(
    request: HttpRequest, cursor: Cursor, limit: Limit, profile: Id | None = None, state: RunState | None = None
) -> Any:
    """The newest first."""
    rows = rows_for(request, DownloadRun)
    if profile is not None:
        rows = rows.filter(profile=profile)
    if state is not None:
        rows = rows.filter(state=state)
    order = keyset.Order(DownloadRun, "started_at", descending=True)
    return page(rows, order, cursor, limit, lambda shown: [run_out(row) for row in shown])


@router.get("/runs/{pk}", tags=TAGS, response=RunOut, summary="One download run")
def run(request: HttpRequest, pk: Id) -> Any:
    return run_out(one_for(request, DownloadRun, pk))


def protection_out(row: Any) -> dict[str, Any]:
    ended_by: User | None = row.ended_by
    names = (
        "kind",
        "value",
        "external_id",
        "state",
        "sentence",
        "reason",
        "owner",
        "ends_at",
        "created_at",
        "ended_at",
    )
    return {
        "id": row.pk,
        "profile": row.profile_id,
        **{name: getattr(row, name) for name in names},
        "created_by": row.created_by.get_username(),
        "ended_by": ended_by.get_username() if ended_by else None,
    }


@router.get("/protections", tags=TAGS, response=Page[ProtectionOut], summary="Protections, in force or ended")
def protections(
    request: HttpRequest,
    cursor: Cursor,
    limit: Limit,
    profile: Id | None = None,
    in_force: bool | None = None,
) -> Any:
    """The newest first."""
    rows: Any = rows_for(request, Protection)
    if profile is not None:
        rows = rows.filter(profile=profile)
    if in_force is not None:
        rows = rows.exclude(state="ended") if in_force else rows.filter(state="ended")
    order = keyset.Order(Protection, "pk", descending=True)
    return page(rows, order, cursor, limit, lambda shown: [protection_out(row) for row in shown])


@router.get("/protections/{pk}", tags=TAGS, response=ProtectionOut, summary="One protection")
def protection(request: HttpRequest, pk: Id) -> Any:
    return protection_out(one_for(request, Protection, pk))


def event_out(row: AuditEvent) -> dict[str, Any]:
    return {
        "sequence": row.sequence,
        "at": row.at,
        "action": {"code": row.action, "label": row.action_label},
        "actor": row.actor_name,
        "actor_id": row.actor_id,
        "target_type": row.target_type,
        "target_id": row.target_id,
        "target": row.target_label,
        "data": row.data,
        "correlation": str(row.correlation),
        "hash": row.hash,
    }


@router.get("/audit", tags=TAGS, response=Page[EventOut], summary="Events of the audit")
def audit(
    request: HttpRequest,
    cursor: Cursor,
    limit: Limit,
    target_type: Annotated[str, Query("", max_length=60, description="e.g. subscriptions.reclaimrequest")],
    action: Annotated[str, Query("", max_length=60, description="e.g. request.approved: see docs/audit-events.md")],
    target_id: Id | None = None,
) -> Any:
    """The newest first."""
    rows = rows_for(request, AuditEvent)
    if action:
        rows = rows.filter(action=action)
    if target_type:
        rows = rows.filter(target_type=target_type)
    if target_id is not None:
        rows = rows.filter(target_id=target_id)
    order = keyset.Order(AuditEvent, "sequence", descending=True)
    return page(rows, order, cursor, limit, lambda shown: [event_out(row) for row in shown])
