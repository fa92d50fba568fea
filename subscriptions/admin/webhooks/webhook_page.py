"""The pages of webhooks show no secret, and no part of an address but its host."""

from __future__ import annotations

from typing import Any, Final

from django.conf import settings
from django.db.models import Count, Q
from django.http import HttpRequest
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from integrations.models import DeliveryState, Webhook, WebhookDelivery, WebhookFormat, WebhookState
from licensehub.audit.models import AuditEvent
from licensehub.database.clock import database_now
from licensehub.translations.stored import translated
from licensehub.ui.formatting import ago, badge, day_and_time, number
from licensehub.ui.names import joined
from subscriptions.webhooks.events import CHOICES, Event

SHOWN: Final = 50
ICONS: Final = {
    WebhookFormat.EVENT: "data_object",
    WebhookFormat.SLACK: "tag",
    WebhookFormat.TEAMS: "groups",
    WebhookFormat.SERVICENOW: "confirmation_number",
    WebhookFormat.JIRA: "task_alt",
}
BADGES: Final = {
    DeliveryState.DUE: ("info", "schedule"),
    DeliveryState.SENDING: ("info", "sync"),
    DeliveryState.DELIVERED: ("ok", "check_circle"),
    DeliveryState.FAILED: ("error", "cancel"),
    DeliveryState.HELD: ("warning", "pause_circle"),
}
# The tabs above the deliveries: name, states.
TABS: Final = {
    "all": tuple(DeliveryState),
    "waiting": (DeliveryState.DUE, DeliveryState.SENDING),
    "missed": (DeliveryState.FAILED, DeliveryState.HELD),
    "delivered": (DeliveryState.DELIVERED,),
}


def state_badge(row: Webhook) -> SafeString:
    if row.state == WebhookState.ON and row.failing_since:
        return badge(_("Fails now"), tone="warning", icon="warning")
    tone, icon = {
        WebhookState.ON: ("ok", "check_circle"),
        WebhookState.OFF: ("neutral", "pause_circle"),
        WebhookState.FAILED: ("error", "error"),
    }[WebhookState(row.state)]
    return badge(row.get_state_display(), tone=tone, icon=icon)


def list_row(row: Webhook) -> dict[str, Any]:
    """One webhook in the list."""
    count = len(row.events)
    return {
        "pk": row.pk,
        "name": row.name,
        "icon": ICONS[WebhookFormat(row.format)],
        "format": row.get_format_display(),
        "host": row.host,
        "events": ngettext("{count} event", "{count} events", count).format(count=number(count)),
        "profiles": profiles_of(row),
        "state": state_badge(row),
        "delivered": ago(row.delivered_at) or _("Nothing yet"),
        "problem": translated(row.error),
    }


def profiles_of(row: Webhook) -> str:
    return _("All profiles") if row.all_profiles else joined([str(profile) for profile in row.profiles.all()])


def detail(row: Webhook, request: HttpRequest) -> dict[str, Any]:
    """The page of one webhook with its newest deliveries."""
    tab = request.GET.get("tab", "all")
    tab = tab if tab in TABS else "all"
    before = request.GET.get("before", "")
    rows = WebhookDelivery.objects.filter(webhook=row, state__in=TABS[tab])
    if before.isascii() and before.isdecimal() and len(before) < 19:
        rows = rows.filter(pk__lt=int(before))
    found = list(rows.select_related("profile").order_by("-pk")[: SHOWN + 1])
    mine = AuditEvent.objects.filter(target_type="integrations.webhook", target_id=row.pk)
    return {
        "row": row,
        "title": row.name,
        "badge": state_badge(row),
        "icon": ICONS[WebhookFormat(row.format)],
        "is_on": row.state == WebhookState.ON,
        "failed": row.state == WebhookState.FAILED,
        "problem": translated(row.error),
        "failing_since": day_and_time(row.failing_since) if row.failing_since else "",
        "profiles": profiles_of(row),
        "events_asked": [str(label) for name, label in CHOICES if name in row.events],
        "languages": _language_of(row),
        "both_until": _both_until(row),
        "has_secret": row.format == WebhookFormat.EVENT,
        "tabs": tabs_of(row, tab),
        "tab": tab,
        "deliveries": [delivery_row(one) for one in found[:SHOWN]],
        "older": found[SHOWN - 1].pk if len(found) > SHOWN else "",
        "events": mine.order_by("sequence"),
    }


def _language_of(row: Webhook) -> str:
    return "" if row.format == WebhookFormat.EVENT else _(dict(settings.LANGUAGES)[row.language])


def _both_until(row: Webhook) -> str:
    until = row.former_secret_until
    return day_and_time(until) if until and until > database_now() else ""


def tabs_of(row: Webhook, chosen: str) -> list[dict[str, Any]]:
    labels = {"all": _("All"), "waiting": _("To be sent"), "missed": _("Did not arrive"), "delivered": _("Delivered")}
    counts = _counts(row)
    return [
        {"name": name, "label": labels[name], "count": number(counts[name]), "is_chosen": name == chosen}
        for name in TABS
    ]


def state_of_page(row: Webhook) -> str:
    """A word that changes when the page must be loaded again."""
    return "-".join([row.state, str(bool(row.failing_since)), *map(str, _counts(row).values())])


def _counts(row: Webhook) -> dict[str, int]:
    """The number of deliveries in each tab."""
    return row.deliveries.aggregate(**{name: Count("pk", filter=Q(state__in=states)) for name, states in TABS.items()})


def is_at_rest(row: Webhook) -> bool:
    return not row.deliveries.filter(state__in=TABS["waiting"]).exists()


def delivery_badge(row: WebhookDelivery) -> SafeString:
    tone, icon = BADGES[DeliveryState(row.state)]
    return badge(row.get_state_display(), tone=tone, icon=icon)


def delivery_row(row: WebhookDelivery) -> dict[str, Any]:
    """One delivery in the list."""
    return {
        "pk": row.pk,
        "event": str(Event(row.event).label),
        "profile": row.profile.name if row.profile else "",
        "at": day_and_time(row.occurred_at),
        "badge": delivery_badge(row),
        "tries": number(row.tries),
        "answer": _answer(row),
        "next": ago(row.due_at) if row.state == DeliveryState.DUE and row.tries_in_row else "",
        "may_replay": row.state not in TABS["waiting"],
    }


def _answer(row: WebhookDelivery) -> str:
    if row.problem:
        return translated(row.problem)
    return _("HTTP {status}").format(status=row.status) if row.status else "–"


def delivery_detail(row: WebhookDelivery) -> dict[str, Any]:
    """The page of one delivery. Names stay out of it: it says what kinds of details were sent."""
    return {
        **delivery_row(row),
        "title": str(Event(row.event).label),
        "webhook": row.webhook,
        "delivery": row,
        "tried_at": day_and_time(row.tried_at) if row.tried_at else "",
        "delivered_at": day_and_time(row.delivered_at) if row.delivered_at else "",
        "due_at": day_and_time(row.due_at) if row.state == DeliveryState.DUE else "",
        "data": sorted(row.content["data"].items()),
        "has_details": "details" in row.content,
        "path": row.content["path"],
        "problem": translated(row.problem),
    }
