"""The cool-down of people who were reactivated at the vendor: one rule, for Python and for SQL."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta
from itertools import groupby
from operator import itemgetter
from typing import Any

from django.utils.translation import get_language
from django.utils.translation import gettext as _

from integrations.connectors.contract import english
from subscriptions.models import Direction, Reclaim, ReclaimState

REACTIVATED_COOLDOWN = timedelta(days=30)
LET_BACK_IN = english("Let back in for the {nth} time after a reclaim.")
ORDINALS = (
    english("first"),
    english("second"),
    english("third"),
    english("fourth"),
    english("fifth"),
    english("sixth"),
    english("seventh"),
    english("eighth"),
    english("ninth"),
    english("tenth"),
)
REACTIVATED_REASON = english("somebody reactivated this person at the vendor")
# `s` is the row as it is known, `m` the member as downloaded. The same as `was_reactivated`.
REACTIVATED_SQL = "(NOT s.active AND m.active)"


def was_reactivated(*, known_active: bool, found_active: bool) -> bool:
    """Whether the vendor shows a person as active whom we know as deactivated. The same as REACTIVATED_SQL."""
    return not known_active and found_active


def times_let_back_in(subscriptions: Iterable[int]) -> dict[int, int]:
    """Subscription id -> how often somebody at the vendor undid our reclaim; nobody has 0. One query for all of them.

    A deactivation was undone when we deactivated the person again later, or when the person is active now, and no
    restore of ours came in between. Our own restores do not count.
    """
    done = Reclaim.objects.filter(subscription__in=list(subscriptions), state=ReclaimState.DONE)
    columns = ("subscription", "direction", "subscription__active", "subscription__gone_at")
    rows = done.order_by("subscription", "finished_at", "pk").values_list(*columns)
    found: dict[int, int] = {}
    for person, sends in groupby(rows, key=itemgetter(0)):
        count, taken = 0, False
        for _person, direction, active, gone_at in sends:
            if direction == Direction.DEACTIVATE and taken:
                count += 1
            taken = direction == Direction.DEACTIVATE
            is_back = active and gone_at is None
        if taken and is_back:
            count += 1
        if count:
            found[person] = count
    return found


def let_back_in(times: int) -> str:
    """`Let back in for the third time after a reclaim.`; empty where nobody was let back in."""
    return _(LET_BACK_IN).format(nth=nth(times)) if times else ""


def nth(number: int) -> str:
    """`third`; from eleven on in digits: `21st`."""
    if number <= len(ORDINALS):
        return _(ORDINALS[number - 1])
    if (get_language() or "").startswith("de"):
        return f"{number}."
    ending = "th" if number % 100 in (11, 12, 13) else {1: "st", 2: "nd", 3: "rd"}.get(number % 10, "th")
    return f"{number}{ending}"


def cooldown_from(now: datetime) -> dict[str, Any]:
    """The columns of Subscription that are written for a reactivated person, with their values."""
    return {"cooldown_until": now + REACTIVATED_COOLDOWN, "cooldown_reason": REACTIVATED_REASON}
