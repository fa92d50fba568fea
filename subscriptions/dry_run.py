"""Dry run: the same look again, the same refusals, and nothing sent."""

from __future__ import annotations

from dataclasses import dataclass

from integrations import connections
from integrations.models import IntegrationProfile
from subscriptions.holds import hold_on
from subscriptions.look_again import look_again
from subscriptions.models import Reclaim
from subscriptions.reclaim import CLAIM


@dataclass(frozen=True, slots=True)
class Preview:
    """What would happen to one approved person."""

    person: str
    request: str
    would_send: bool
    sentence: str


def dry_run(profile: IntegrationProfile) -> list[Preview]:
    """Decide on everything that is due, as a send would. Raises the connector's errors."""
    due = list(
        Reclaim.objects.due()
        .filter(profile=profile)
        .select_related("subscription", "removal__request", "removal__candidate")
        .order_by("queued_at", "pk")
    )
    if hold := hold_on(profile):
        return [_preview(item, would_send=False, sentence=f"Held: {hold.label}.") for item in due]
    connector = connections.connector_for(profile)
    rows: list[Preview] = []
    for start in range(0, len(due), CLAIM):
        batch = due[start : start + CLAIM]
        for pk, decision in look_again(profile, batch, connector).items():
            item = next(item for item in batch if item.pk == pk)
            sentence = f"Would deactivate. {decision.sentence}" if decision.send else decision.sentence
            rows.append(_preview(item, would_send=decision.send, sentence=sentence))
    return rows


def _preview(item: Reclaim, *, would_send: bool, sentence: str) -> Preview:
    return Preview(str(item.subscription), item.removal.request.number, would_send, sentence)
