"""Webhooks: has one been switched off, or does a host take nothing now?"""

from __future__ import annotations

from typing import Final

from integrations.connectors.contract import english, english_plural
from integrations.models import DeliveryState, Webhook, WebhookDelivery, WebhookState
from licensehub.operations.doctor.findings import Context, Finding, Level, Step, check

NOT_LOST: Final = english("Its events are kept, and can be sent again.")
OPEN: Final = Step(english("A company admin opens System → Webhooks: each says what is wrong."))


@check("webhooks")
def webhooks(context: Context) -> Finding:
    """Each webhook that is switched on reaches its host. The name of a webhook may name people, so it is not shown."""
    off = Webhook.objects.filter(state=WebhookState.FAILED).order_by("failing_since")
    failing = Webhook.objects.filter(state=WebhookState.ON, failing_since__isnull=False).order_by("failing_since")
    if row := off.first():
        count = off.count()
        value = english_plural("{count} is off", "{count} are off", count).format(count=count)
        title = english("A webhook was switched off, since its host took nothing")
        return Finding(Level.LOOK, title, value, row.error, NOT_LOST, (OPEN,), row.failing_since)
    if row := failing.first():
        count = failing.count()
        value = english_plural("{count} fails", "{count} fail", count).format(count=count)
        return Finding(Level.LOOK, english("A webhook fails"), value, row.error, NOT_LOST, (OPEN,), row.failing_since)
    if not Webhook.objects.exists():
        return Finding(Level.NONE, english("There is no webhook"), english("none"))
    due = WebhookDelivery.objects.filter(state=DeliveryState.DUE).count()
    value = english_plural("{count} delivery waits", "{count} deliveries wait", due).format(count=due)
    return Finding(Level.OK, english("No webhook fails"), value)
