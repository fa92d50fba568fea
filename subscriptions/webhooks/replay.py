"""Send again what was sent, given up, or written while a webhook was off; and send a test.

A replay has the same event id, so a receiver that keeps the ids can tell it from a new event.
"""

from __future__ import annotations

from datetime import date, timedelta

from django.db import transaction
from django.db.models import F
from django.urls import reverse
from django.utils.translation import gettext as _

from integrations.models import DeliveryState, Webhook, WebhookDelivery, WebhookState
from licensehub.audit.actions import Action
from licensehub.audit.log import Actor, record
from licensehub.database.clock import database_now
from licensehub.ui.time_zones import company_midnight
from subscriptions.errors import NotActionable, Refused
from subscriptions.webhooks.events import Event
from subscriptions.webhooks.setup import input_of, refuse_outside_of

# One click sends so many at most. Another click sends the next ones.
MAX_REPLAYED = 5000
UNDER_WAY = (DeliveryState.DUE, DeliveryState.SENDING)


def replay(delivery: WebhookDelivery, *, actor: Actor) -> None:
    """Send one delivery again. Raises Refused or NotActionable."""
    row = delivery.webhook
    _refuse_if_off(row, actor=actor)
    with transaction.atomic():
        if _send_again([delivery.pk]) != 1:
            raise NotActionable(_("This delivery is on its way already. Nothing was changed."))
        data = {"deliveries": 1, "event_id": str(delivery.event_id), "event": delivery.event}
        record(Action.WEBHOOK_REPLAYED, actor=actor, target=row, data=data)


def replay_period(row: Webhook, *, first: date, last: date, only_missed: bool, actor: Actor) -> int:
    """Send again what happened on these days, both included. `only_missed`: only what did not arrive.

    Returns how many. Raises Refused.
    """
    _refuse_if_off(row, actor=actor)
    if last < first:
        raise Refused(_("The last day is before the first day."))
    begins, ends = company_midnight(first), company_midnight(last + timedelta(days=1))
    rows = WebhookDelivery.objects.filter(webhook=row, occurred_at__gte=begins, occurred_at__lt=ends)
    rows = rows.exclude(state__in=UNDER_WAY)
    if only_missed:
        rows = rows.exclude(state=DeliveryState.DELIVERED)
    with transaction.atomic():
        found = list(rows.order_by("occurred_at", "pk").values_list("pk", flat=True)[:MAX_REPLAYED])
        if not found:
            raise Refused(_("There is nothing to send again on these days."))
        sent = _send_again(found)
        data = {"deliveries": sent, "from": first.isoformat(), "until": last.isoformat(), "only_missed": only_missed}
        record(Action.WEBHOOK_REPLAYED, actor=actor, target=row, data=data)
    return sent


def _send_again(ids: list[int]) -> int:
    again = {"state": DeliveryState.DUE, "due_at": database_now(), "tries_in_row": 0, "problem": ""}
    rows = WebhookDelivery.objects.filter(pk__in=ids).exclude(state__in=UNDER_WAY)
    return rows.update(**again, replays=F("replays") + 1)


def send_test(row: Webhook, *, actor: Actor) -> WebhookDelivery:
    """Write a delivery of the event `webhook.test` for this webhook alone. Raises Refused."""
    _refuse_if_off(row, actor=actor)
    page = reverse("admin:integrations_webhook_change", args=[row.pk])
    with transaction.atomic():
        content = {"data": {"webhook": row.name}, "path": page}
        delivery = WebhookDelivery.objects.create(webhook=row, event=Event.TEST.value, content=content)
        # The pause after a failure would only make the person wait.
        Webhook.objects.filter(pk=row.pk).update(next_try_at=None)
        record(Action.WEBHOOK_TESTED, actor=actor, target=row, data={"event_id": str(delivery.event_id)})
    return delivery


def _refuse_if_off(row: Webhook, *, actor: Actor) -> None:
    refuse_outside_of(input_of(row), actor=actor)
    if row.state != WebhookState.ON:
        raise Refused(_("This webhook is off. Switch it on first."))
