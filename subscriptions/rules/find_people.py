"""Find people by typed addresses and ids of the vendor."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import Any

from django.db.models import F, QuerySet

from integrations.connectors.contract import is_plain, normalized
from subscriptions.models import ActivitySnapshot, RecheckSnapshot, Subscription
from subscriptions.models.subscription import AsciiLower, SubscriptionQuerySet, address_key


def find_people(profile_id: int, typed: Collection[str]) -> dict[str, Subscription]:
    """Normalized address or vendor's id -> its person. Unknown ones are left out.

    An address belongs to the person who has it now, else to the one who had it last. It makes a few queries for any
    number of addresses.
    """
    rows = Subscription.objects.filter(profile=profile_id).order_by()
    ids = [one for one in typed if "@" not in one]
    found = {row.external_id: row for row in rows.filter(external_id__in=ids)}
    addresses = [one for one in typed if "@" in one]
    found |= _now(rows, addresses)
    return found | _formerly(rows, [address for address in addresses if address not in found])


def _now(rows: SubscriptionQuerySet, addresses: Collection[str]) -> dict[str, Subscription]:
    """Address -> the person who has it now. Of several, a member comes first, then an active one, then the newest."""
    if not addresses:
        return {}
    holders: QuerySet[Any] = rows.annotate(typed=address_key()).filter(typed__in=addresses)
    by_preference = sorted(holders, key=lambda row: (row.gone_at is None, row.active, row.pk))
    return {row.typed: row for row in by_preference}


def _formerly(rows: SubscriptionQuerySet, addresses: Collection[str]) -> dict[str, Subscription]:
    if not addresses:
        return {}
    last: dict[str, int] = {}
    for email, pk in _former_addresses(rows, addresses):
        last[normalized(email)] = pk
    people = rows.in_bulk({pk for address, pk in last.items() if address in addresses})
    return {address: people[last[address]] for address in addresses if address in last}


def _former_addresses(rows: SubscriptionQuerySet, addresses: Collection[str]) -> Iterable[tuple[str, int]]:
    """Former addresses with the subscription that had them, the newest change last."""
    of_people = {"email__isnull": False, "subscription__in": rows.values("pk")}
    runs: QuerySet[Any] = ActivitySnapshot.objects.filter(**of_people).annotate(at=F("run__finished_at"))
    looks: QuerySet[Any] = RecheckSnapshot.objects.filter(**of_people).annotate(at=F("seen_at")).order_by()
    if all(is_plain(address) for address in addresses):
        runs, looks = (found.annotate(typed=AsciiLower("email")).filter(typed__in=addresses) for found in (runs, looks))
    columns = ("at", "email", "subscription_id")
    changes = sorted((*runs.values_list(*columns), *looks.values_list(*columns)), key=lambda change: change[0])
    return [(email, pk) for _, email, pk in changes]
