"""Deliveries are kept for `WEBHOOK_DELIVERY_DAYS`. The audit keeps what an admin did with them."""

from __future__ import annotations

from datetime import timedelta

from django.conf import settings

from integrations.models import DeliveryState, WebhookDelivery
from licensehub.database.clock import database_now


def remove_old_deliveries() -> int:
    """Remove those that are older, whatever became of them, unless they are still tried. Returns how many."""
    before = database_now() - timedelta(days=settings.WEBHOOK_DELIVERY_DAYS)
    old = WebhookDelivery.objects.filter(occurred_at__lt=before)
    return old.exclude(state__in=(DeliveryState.DUE, DeliveryState.SENDING)).delete()[0]
