"""Webhooks and their deliveries. The address and the secrets are never read here: a webhook has a host."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from django.http import HttpRequest
from ninja import Schema
from pydantic import Field

from integrations.models import DeliveryState, Webhook, WebhookDelivery, WebhookState
from licensehub.api.reading.rows import Coded, Cursor, Id, Limit, Page, one_for, page, rows_for
from licensehub.api.router import router
from licensehub.ui.lists.paging import keyset

TAGS = ["Webhooks"]


class WebhookOut(Schema):
    """A receiver of events. `failing_since` is the first failure after the last success."""

    id: int
    name: str
    format: str
    host: str
    state: Coded
    state_changed_at: datetime
    events: list[str]
    profiles: list[int] | None = Field(description="null: all profiles, and the company")
    with_names: bool
    language: str
    delivered_at: datetime | None
    failing_since: datetime | None
    error: str
    version: int


class DeliveryOut(Schema):
    """One event for one webhook. `event_id` is the same in each try."""

    id: int
    event_id: UUID
    event: str
    profile: int | None
    occurred_at: datetime
    state: Coded
    tries: int
    tried_at: datetime | None
    delivered_at: datetime | None
    status: int | None = Field(description="The HTTP status of the last answer")
    problem: str


def webhook_out(row: Webhook) -> dict[str, Any]:
    state = WebhookState(row.state)
    names = ("name", "format", "host", "state_changed_at", "events", "with_names", "language")
    health = ("delivered_at", "failing_since", "error", "version")
    return {
        "id": row.pk,
        "state": {"code": state.value, "label": str(state.label)},
        "profiles": None if row.all_profiles else sorted(profile.pk for profile in row.profiles.all()),
        **{name: getattr(row, name) for name in (*names, *health)},
    }


def delivery_out(row: WebhookDelivery) -> dict[str, Any]:
    state = DeliveryState(row.state)
    names = ("event_id", "event", "occurred_at", "tries", "tried_at", "delivered_at", "status", "problem")
    return {
        "id": row.pk,
        "profile": row.profile_id,
        "state": {"code": state.value, "label": str(state.label)},
        **{name: getattr(row, name) for name in names},
    }


@router.get("/webhooks", tags=TAGS, response=Page[WebhookOut], summary="Webhooks")
def webhooks(request: HttpRequest, cursor: Cursor, limit: Limit) -> Any:
    order = keyset.Order(Webhook, "pk")
    rows = rows_for(request, Webhook).prefetch_related("profiles")
    return page(rows, order, cursor, limit, lambda shown: [webhook_out(row) for row in shown])


@router.get("/webhooks/{pk}", tags=TAGS, response=WebhookOut, summary="One webhook")
def webhook(request: HttpRequest, pk: Id) -> Any:
    return webhook_out(one_for(request, Webhook, pk))


@router.get("/webhooks/{pk}/deliveries", tags=TAGS, response=Page[DeliveryOut], summary="The deliveries of a webhook")
def webhook_deliveries(
    request: HttpRequest, pk: Id, cursor: Cursor, limit: Limit, state: DeliveryState | None = None
) -> Any:
    """The newest first."""
    rows = WebhookDelivery.objects.filter(webhook=one_for(request, Webhook, pk))
    if state is not None:
        rows = rows.filter(state=state)
    order = keyset.Order(WebhookDelivery, "pk", descending=True)
    return page(rows, order, cursor, limit, lambda shown: [delivery_out(row) for row in shown])
