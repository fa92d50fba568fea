"""Numbers with their noun: `1 seat`, `1,204 people`."""

from __future__ import annotations

from collections.abc import Mapping

from django.db.models import Count, QuerySet
from django.utils.translation import ngettext

from licensehub.ui.formatting import number
from subscriptions.models import Direction, Reclaim


def seats(count: int) -> str:
    return ngettext("{} seat", "{} seats", count).format(number(count))


def days(count: int) -> str:
    return ngettext("{} day", "{} days", count).format(number(count))


def people(count: int) -> str:
    return ngettext("{} person", "{} people", count).format(number(count))


def acts(by_direction: Mapping[str, int]) -> str:
    """`2 reclaims, 1 restore`: the two are never added. Empty without any."""
    taken, given = by_direction.get(Direction.DEACTIVATE, 0), by_direction.get(Direction.REACTIVATE, 0)
    reclaims = ngettext("{} reclaim", "{} reclaims", taken).format(number(taken)) if taken else ""
    restores = ngettext("{} restore", "{} restores", given).format(number(given)) if given else ""
    return ", ".join(filter(None, (reclaims, restores)))


def acts_of(rows: QuerySet[Reclaim]) -> str:
    """The same for these rows of the history."""
    return acts(dict(rows.order_by().values_list("direction").annotate(n=Count("pk"))))
