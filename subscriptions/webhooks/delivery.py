"""Send what is due, at least once. The database is the queue: any number of workers may run it.

A worker claims a delivery for some minutes by one guarded UPDATE, sends it outside of any transaction, and writes the
outcome if the claim is still its own. If it dies in between, the delivery is due again, with the same event id.
"""

from __future__ import annotations

import logging
import random
import time
import uuid
from collections.abc import Mapping
from datetime import timedelta
from typing import Any, Final

from django.db import transaction
from django.db.models import Exists, F, QuerySet
from django.db.models.functions import Coalesce, Now

from integrations.connectors.contract import english
from integrations.connectors.rate_limit import retry_after
from integrations.credentials.encryption import CredentialError
from integrations.models import DeliveryState, SendingControl, Webhook, WebhookDelivery, WebhookState
from integrations.webhooks.records import WebhookDeliveryQuerySet
from licensehub import stopping
from licensehub.audit.actions import Action
from licensehub.audit.log import record
from licensehub.database.clock import database_now
from licensehub.logs.known_secrets import without_secrets
from licensehub.outbound.foreign_text import one_line
from licensehub.outbound.pinned import Answer
from subscriptions.webhooks.bodies import body_of
from subscriptions.webhooks.guarded import NotSent, send
from subscriptions.webhooks.signing import signed_headers
from subscriptions.webhooks.templates import BadTemplate

logger = logging.getLogger(__name__)

TASK_SECONDS: Final = 120.0
# Longer than the look-up of a name and the whole exchange.
LEASE: Final = timedelta(minutes=5)
# The pause after each failed try of one delivery; the last one is repeated.
BACKOFF: Final = tuple(timedelta(minutes=one) for one in (1, 5, 15, 60, 180, 360, 720))
# A host that does not answer gets nothing else for this long at most.
MAX_PAUSE: Final = timedelta(minutes=15)
MAX_RETRY_AFTER: Final = timedelta(hours=1)
# A delivery is given up, and a webhook without any success is switched off, after this time.
MAX_TOTAL_WAIT: Final = timedelta(days=3)
MAX_ANSWER: Final = 300  # characters that are kept
BUSY: Final = (429, 503)

REDIRECT: Final = english("The host answered with a redirect ({status}), which is not followed. Enter the new address.")
BAD_TEMPLATE: Final = english("The template of this webhook cannot be used. Open the webhook, and correct it.")
REFUSED: Final = english("The host answered {status}.")


def claimable() -> WebhookDeliveryQuerySet:
    """The deliveries that may be sent now. None if this database may be a restored backup, or a copy."""
    free = SendingControl.objects.filter(pk=1, held_at=None)
    return WebhookDelivery.objects.due().filter(Exists(free))


def anything_due() -> bool:
    return claimable().exists()


def deliver_due(*, seconds: float = TASK_SECONDS) -> int:
    """Send the due deliveries, for about `seconds`. Returns how many were delivered."""
    ends_at, done = time.monotonic() + seconds, 0
    while not stopping.is_over(ends_at) and (row := _claim()):
        done += _deliver(row)
    return done


def _claim() -> WebhookDelivery | None:
    """Claim one due delivery. Another worker may be faster, so it looks again."""
    while (found := claimable().order_by("due_at", "occurred_at", "pk").first()) is not None:
        token = uuid.uuid4()
        values = {"state": DeliveryState.SENDING, "token": token, "lease_until": database_now() + LEASE}
        tries = {"tries": F("tries") + 1, "tries_in_row": F("tries_in_row") + 1, "tried_at": database_now()}
        if claimable().filter(pk=found.pk, tries=found.tries).update(**values, **tries) == 1:
            return WebhookDelivery.objects.select_related("webhook", "profile").get(pk=found.pk, token=token)
    return None


def _deliver(row: WebhookDelivery) -> bool:
    """Send one claimed delivery, and write the outcome. Returns whether the receiver took it."""
    try:
        answer = _send(row)
    except BadTemplate:
        _note_failure(row, BAD_TEMPLATE, host_is_down=False)
        return False
    except (NotSent, CredentialError) as error:
        _note_failure(row, str(error), host_is_down=True)
        return False
    outcome = {"status": answer.status, "answer": _short(answer, row)}
    if 200 <= answer.status < 300:
        return _note_delivered(row, outcome)
    said = REDIRECT if 300 <= answer.status < 400 else REFUSED
    busy = answer.status in BUSY or answer.status >= 500
    after = _retry_after(answer) if answer.status in BUSY else timedelta()
    _note_failure(row, said.format(status=answer.status), outcome=outcome, host_is_down=busy, at_least=after)
    return False


def _send(row: WebhookDelivery) -> Answer:
    """Raises NotSent, CredentialError, or BadTemplate."""
    secrets, now = row.webhook.secrets(), database_now()
    body = body_of(row)
    headers = {"Content-Type": "application/json", "User-Agent": "LicenseHub"}
    former = row.webhook.former_secret_until and row.webhook.former_secret_until > now
    keys = [secrets.get("secret", ""), secrets.get("former_secret", "") if former else ""]
    if known := [key for key in keys if key]:
        headers |= signed_headers(known, body, event_id=str(row.event_id), seconds=int(now.timestamp()))
    if authorization := secrets.get("authorization"):
        headers["Authorization"] = authorization
    return send(secrets["url"], body, headers)


def _short(answer: Answer, row: WebhookDelivery) -> str:
    """The first characters of the answer, on one line, and without our own secrets, which it may repeat."""
    text = one_line(answer.body.decode(errors="replace"))
    for secret in sorted(_parts_of(row.webhook.secrets()), key=len, reverse=True):
        text = text.replace(secret, "***")
    return without_secrets(text)[:MAX_ANSWER]


def _parts_of(secrets: Mapping[str, str]) -> set[str]:
    """The secrets, and those parts of them that a receiver may repeat alone."""
    words = {part for value in secrets.values() for part in value.replace("?", " ").replace("/", " ").split()}
    return {word for word in (*secrets.values(), *words) if len(word) >= 8}


def _retry_after(answer: Answer) -> timedelta:
    """The pause that a busy receiver asks for, an hour at most."""
    seconds = retry_after({"Retry-After": answer.retry_after}) or 0.0
    return min(timedelta(seconds=seconds), MAX_RETRY_AFTER)


def _mine(row: WebhookDelivery) -> QuerySet[WebhookDelivery]:
    """The row, if it is still claimed by this worker."""
    return WebhookDelivery.objects.filter(pk=row.pk, state=DeliveryState.SENDING, token=row.token)


def _note_delivered(row: WebhookDelivery, outcome: Mapping[str, Any]) -> bool:
    now = database_now()
    with transaction.atomic():
        ended = {"state": DeliveryState.DELIVERED, "delivered_at": now, "problem": "", **_FREE}
        if _mine(row).update(**ended, **outcome) != 1:
            logger.warning("Delivery %s was sent after its lease, and is sent again", row.pk)
            return False
        Webhook.objects.filter(pk=row.webhook_id).update(delivered_at=now, **WORKS)
    return True


_FREE: Final[Mapping[str, Any]] = {"token": None, "lease_until": None}
WORKS: Final[Mapping[str, Any]] = {"failing_since": None, "failures": 0, "next_try_at": None, "error": ""}
NO_ANSWER: Final[Mapping[str, Any]] = {"status": None, "answer": ""}


def _note_failure(
    row: WebhookDelivery,
    problem: str,
    *,
    host_is_down: bool,
    outcome: Mapping[str, Any] = NO_ANSWER,
    at_least: timedelta = timedelta(),
) -> None:
    """Write why it failed, and when it is tried again. A host that is down gets nothing else meanwhile."""
    now = database_now()
    pause = max(jittered(BACKOFF[min(row.tries_in_row, len(BACKOFF)) - 1]), at_least)
    over = now - row.occurred_at >= MAX_TOTAL_WAIT and row.tries_in_row > len(BACKOFF)
    state = DeliveryState.FAILED if over else DeliveryState.DUE
    with transaction.atomic():
        if _mine(row).update(state=state, due_at=now + pause, problem=problem, **_FREE, **outcome) != 1:
            return
        failing: dict[str, Any] = {"failing_since": Coalesce(F("failing_since"), Now()), "failures": F("failures") + 1}
        if host_is_down:
            failing["next_try_at"] = now + max(min(pause, MAX_PAUSE), at_least)
        Webhook.objects.filter(pk=row.webhook_id).update(error=problem, **failing)
    logger.warning("A delivery to %s failed: %s", row.webhook.host, problem)


def jittered(pause: timedelta) -> timedelta:
    """Between 80 and 120 percent of it, so that many deliveries do not come back at one moment."""
    return pause * random.uniform(0.8, 1.2)  # noqa: S311 - no secret


def repair() -> None:
    """Make abandoned deliveries due again, and switch off the webhooks that had no success for days."""
    free = {"state": DeliveryState.DUE, "due_at": database_now(), **_FREE}
    WebhookDelivery.objects.abandoned().update(**free)
    # A worker had them, or their event was written, while somebody switched the webhook off.
    off = Webhook.objects.exclude(state=WebhookState.ON)
    WebhookDelivery.objects.filter(webhook__in=off, state=DeliveryState.DUE).update(state=DeliveryState.HELD)
    before = database_now() - MAX_TOTAL_WAIT
    for row in Webhook.objects.filter(state=WebhookState.ON, failing_since__lte=before):
        _switch_off(row)


def _switch_off(row: Webhook) -> None:
    with transaction.atomic():
        rows = Webhook.objects.filter(pk=row.pk, state=WebhookState.ON, failing_since=row.failing_since)
        if rows.update(state=WebhookState.FAILED, state_changed_at=database_now()) != 1:
            return
        held = hold_due(row)
        record(Action.WEBHOOK_DISABLED, actor=None, target=row, data={"failures": row.failures, "held": held})


def hold_due(row: Webhook) -> int:
    """Deliveries of a webhook that was switched off wait for an admin. Call it in a transaction. Returns how many."""
    return WebhookDelivery.objects.filter(webhook=row, state=DeliveryState.DUE).update(state=DeliveryState.HELD)
