"""Connections with their state. No secret is ever read here: a connection has a fingerprint."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django.http import HttpRequest
from ninja import Schema

from integrations.models import Connection, ConnectionState
from licensehub.api.reading.rows import Coded, Cursor, Id, Limit, Page, one_for, page, rows_for
from licensehub.api.router import router
from licensehub.ui.lists.paging import keyset

TAGS = ["Connections"]


class ConnectionOut(Schema):
    """One connection of a profile. `fingerprint` names the stored credentials; it is empty without any."""

    id: int
    profile: int
    profile_name: str
    slot: str
    label: str
    state: Coded
    state_changed_at: datetime | None
    fingerprint: str
    credentials_set_at: datetime | None
    expires_at: datetime | None
    error: str


def connection_out(row: Connection) -> dict[str, Any]:
    state = ConnectionState(row.state)
    names = ("slot", "label", "state_changed_at", "fingerprint", "credentials_set_at", "expires_at", "error")
    return {
        "id": row.pk,
        "profile": row.profile_id,
        "profile_name": row.profile.name,
        "state": {"code": state.value, "label": str(state.label)},
        **{name: getattr(row, name) for name in names},
    }


@router.get("/connections", tags=TAGS, response=Page[ConnectionOut], summary="Connections of the profiles")
def connections(request: HttpRequest, cursor: Cursor, limit: Limit, profile: Id | None = None) -> Any:
    rows = rows_for(request, Connection)
    if profile is not None:
        rows = rows.filter(profile=profile)
    order = keyset.Order(Connection, "pk")
    return page(rows, order, cursor, limit, lambda shown: [connection_out(row) for row in shown])


@router.get("/connections/{pk}", tags=TAGS, response=ConnectionOut, summary="One connection")
def connection(request: HttpRequest, pk: Id) -> Any:
    return connection_out(one_for(request, Connection, pk))
