"""The card *Anchors* of the page *Evidence*: the newest ones, and which destination has taken them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from django.http import HttpRequest

from licensehub.audit.anchors.destinations import configured
from licensehub.audit.anchors.keys import WrongKeys, current_keys
from licensehub.audit.anchors.write import anchor_of, this_host
from licensehub.audit.models import Destination, StoredAnchor
from licensehub.site.dashboard.audit_health import DESTINATIONS
from licensehub.ui.formatting import ago, day_and_time, number

SHOWN = 5


@dataclass(frozen=True, slots=True)
class ShownAnchor:
    """One line: the event that the anchor names, when it was written, and whether each destination has taken it."""

    sequence: int
    when: str
    ago: str
    events: str
    genuine: bool
    taken: list[tuple[str, bool]]


def anchors_card(request: HttpRequest) -> dict[str, Any]:
    try:
        keys = current_keys()
    except WrongKeys:
        keys = None
    positions = dict(Destination.objects.values_list("name", "position"))
    names = list(configured(this_host()))
    lines = [
        ShownAnchor(
            sequence=row.sequence,
            when=day_and_time(row.at),
            ago=ago(row.at),
            events=number(row.count),
            genuine=bool(keys and anchor_of(row).is_genuine(keys)),
            taken=[(str(DESTINATIONS[name]), positions.get(name, 0) >= row.pk) for name in names],
        )
        for row in StoredAnchor.objects.order_by("-pk")[:SHOWN]
    ]
    return {
        "anchors": lines,
        "destinations": [str(DESTINATIONS[name]) for name in names],
        "key": keys.signing_id if keys else "",
    }
