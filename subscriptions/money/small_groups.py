"""Figures of departments and cost centers for readers who may see no names: small groups are shown together.

`MIN_GROUP_SIZE` is the number of people that each shown group has at least; 0 shows all groups. Whoever may open the
list of subscriptions sees every person there, so nothing is put together for them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, TypeVar

from django.conf import settings
from django.contrib.auth.models import AnonymousUser, User
from django.db.models import Count

from integrations.models import IntegrationProfile
from subscriptions.models import Subscription

Row = TypeVar("Row")
SEES_NAMES = "subscriptions.view_subscription"


def sees_names(user: User | AnonymousUser) -> bool:
    return user.has_perm(SEES_NAMES)


def minimum_for(user: User | AnonymousUser) -> int:
    """The number of people that a group must have for this reader; 0 without a limit."""
    return 0 if sees_names(user) else settings.MIN_GROUP_SIZE


def seats_by_place(profiles: Iterable[IntegrationProfile]) -> dict[tuple[str, str], int]:
    """(department, cost center) -> how many seats are held there now, in the profile where they are fewest.

    A reader may subtract the page of one profile from the page of all.
    """
    held = Subscription.objects.held().filter(profile__in=list(profiles)).order_by()
    found: dict[tuple[str, str], int] = {}
    rows = held.values_list("department", "cost_center", "profile").annotate(seats=Count("pk"))
    for department, center, _profile, seats in rows:
        place = (department, center)
        found[place] = min(seats, found.get(place, seats))
    return found


def departments_for(
    lines: list[dict[str, Any]], profiles: Iterable[IntegrationProfile], minimum: int
) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """The lines of `Ledger.by_department` that are shown, and those that are shown as one."""
    if not minimum:
        return lines, []
    seats = seats_by_place(profiles)
    return apart_and_together(lines, lambda line: seats.get((line["department"], line["cost_center"]), 0), minimum)


def apart_and_together(rows: Iterable[Row], size: Callable[[Row], int], minimum: int) -> tuple[list[Row], list[Row]]:
    """The rows that are shown, in their order, and those that are shown as one row.

    The page shows the sum of all rows. So the rows that are shown as one have `minimum` people as well: if the small
    ones have fewer, the smallest of the others are added. Else the sum minus the shown rows would be a small group.
    """
    known = list(rows)
    together = [row for row in known if size(row) < minimum]
    others = sorted((row for row in known if size(row) >= minimum), key=size)
    while together and others and sum(map(size, together)) < minimum:
        together.append(others.pop(0))
    ids = {id(row) for row in together}
    return [row for row in known if id(row) not in ids], together
