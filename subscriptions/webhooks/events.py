"""The one list of events, and the one function that writes an event for the webhooks that want it.

docs/webhooks.md has the catalog; a test compares the two, and finds an event that is raised in two places or in none.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Mapping
from typing import Any

from django.conf import settings
from django.db import models
from django.utils.translation import gettext_lazy as _

from integrations.models import DeliveryState, IntegrationProfile, Webhook, WebhookDelivery, WebhookState
from integrations.scopes.visibility import seen_by
from licensehub.audit.log import NotInTransaction
from licensehub.audit.transactions import open_transactions
from licensehub.database.clock import database_now


class Event(models.TextChoices):
    REQUEST_WAITS = "request.waits", _("A request waits for a decision")
    REQUEST_ENDS_SOON = "request.ends_soon", _("A request ends soon")
    REQUEST_DECIDED = "request.decided", _("A request was approved or rejected")
    REQUEST_EXPIRED = "request.expired", _("A request expired")
    DOWNLOAD_QUARANTINED = "download.quarantined", _("A download is quarantined")
    DOWNLOAD_MISSING = "download.missing", _("A download is missing")
    CONNECTION_FAILED = "connection.failed", _("A connection does not work")
    RECLAIM_IN_DOUBT = "reclaim.in_doubt", _("The answer to a reclaim was lost")
    CAP_REACHED = "cap.reached", _("The cap for 24 hours is reached")
    SAVINGS_MONTHLY = "savings.monthly", _("The savings of a month")
    # Only by the button of an admin, to one webhook.
    TEST = "webhook.test", _("A test")


# The events that a webhook can ask for, in the order of the page.
CHOICES = [(one.value, one.label) for one in Event if one != Event.TEST]


def raise_event(
    event: Event,
    *,
    profile: IntegrationProfile,
    data: Mapping[str, Any],
    path: str,
    details: Callable[[], Mapping[str, Any]] = dict,
) -> int:
    """Write one delivery for each webhook that wants this event, in the transaction of what happened.

    `data` has ids, counts, codes and moments. `details` returns names and texts that people wrote; it is called only
    if a webhook wants them. `path` is that of the page. Returns for how many webhooks.
    """
    if open_transactions() <= getattr(settings, "TRANSACTIONS_OF_TESTS", 0):
        raise NotInTransaction(f"{event} must be written in the transaction of what happened")
    # The person who acts may see fewer webhooks than there are.
    with seen_by(None):
        wanting = [row for row in Webhook.objects.all() if event.value in row.events and _covers(row, profile)]
        if not wanting:
            return 0
        found = details() if any(row.with_names for row in wanting) else {}
        common = {"event_id": uuid.uuid4(), "event": event.value, "profile": profile, "occurred_at": database_now()}
        plain = {"data": dict(data), "path": path}
        rows = [
            WebhookDelivery(
                webhook=row,
                state=DeliveryState.DUE if row.state == WebhookState.ON else DeliveryState.HELD,
                content={**plain, "details": dict(found)} if row.with_names else plain,
                **common,
            )
            for row in wanting
        ]
        WebhookDelivery.objects.bulk_create(rows)
    return len(rows)


def _covers(row: Webhook, profile: IntegrationProfile) -> bool:
    return row.all_profiles or row.profiles.filter(pk=profile.pk).exists()
