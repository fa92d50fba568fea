"""The events about requests: what they tell, and the names for webhooks that want them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from django.urls import reverse

from licensehub.ui.formatting import name_of
from subscriptions.models import ReclaimRequest, RequestState
from subscriptions.webhooks.events import Event, raise_event

# A body names so many people at most, and has the number of all.
MAX_PEOPLE: Final = 100


def tell_request(event: Event, request: ReclaimRequest) -> None:
    """Write an event about a request that waits, ends soon or has expired."""
    _tell(event, request, {})


def tell_decided(request: ReclaimRequest) -> None:
    """Write the event of an approval or a rejection, in its transaction."""
    decision = "approved" if request.state == RequestState.APPROVED else "rejected"
    decided_at = request.decided_at.isoformat() if request.decided_at else None
    _tell(Event.REQUEST_DECIDED, request, {"decision": decision, "decided_at": decided_at})


def _tell(event: Event, request: ReclaimRequest, more: Mapping[str, Any]) -> None:
    raise_event(
        event,
        profile=request.profile,
        data={
            "request": request.pk,
            "number": request.number,
            "direction": request.direction,
            "people": request.removals.not_dropped().count(),
            "requested_at": request.requested_at.isoformat(),
            "expires_at": request.expires_at.isoformat(),
            **more,
        },
        path=reverse("admin:subscriptions_reclaimrequest_change", args=[request.pk]),
        details=lambda: _details(request),
    )


def _details(request: ReclaimRequest) -> dict[str, Any]:
    people = request.removals.not_dropped().order_by("pk").values_list("evidence__name", "evidence__email")
    return {
        "requested_by": name_of(request.requested_by) if request.requested_by else "",
        "decided_by": name_of(request.decided_by) if request.decided_by else "",
        "comment": request.comment,
        "people": [{"name": name or "", "email": email or ""} for name, email in people[:MAX_PEOPLE]],
    }
