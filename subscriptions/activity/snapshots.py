"""The history of subscriptions: keep what a change replaces, and read any day back."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db.models import Q

from integrations.models import IntegrationProfile
from subscriptions.models import ActivitySnapshot, RecheckSnapshot, Subscription
from subscriptions.models.snapshot import NEVER

COLUMNS = ("last_activity_at", "license_assigned_at", "license", "role", "active", "gone")
MOMENTS = ("last_activity_at", "license_assigned_at")
# What reading back costs in memory is this many changes at once.
CHUNK = 2000


@dataclass(frozen=True, slots=True)
class Seat:
    """One subscription as it was known at some moment."""

    external_id: str
    email: str
    last_activity_at: datetime | None
    license_assigned_at: datetime | None
    license: str
    role: str
    active: bool
    gone: bool


def keep_replaced(former: Subscription, changes: Mapping[str, Any], *, seen_at: datetime) -> None:
    """Outside of a run: note what `changes` (fact -> new value) are about to replace. In the same transaction."""
    replaced = {
        name: _kept(name, getattr(former, name))
        for name, value in changes.items()
        if name in COLUMNS and getattr(former, name) != value
    }
    if replaced:
        RecheckSnapshot.objects.create(subscription=former, seen_at=seen_at, **replaced)


def _kept(name: str, value: Any) -> Any:
    return NEVER if name in MOMENTS and value is None else value


def as_of(profile: IntegrationProfile, moment: datetime) -> Iterator[Seat]:
    """Everybody as known at `moment`: today's facts, with what was replaced since put back, the newest first.

    E-mail addresses are today's. Whoever was first seen later is not there.
    """
    rows = Subscription.objects.filter(profile=profile, first_run__finished_at__lte=moment).order_by("pk")
    batch: list[Subscription] = []
    for row in rows.iterator(chunk_size=CHUNK):
        batch.append(row)
        if len(batch) == CHUNK:
            yield from _put_back(batch, moment)
            batch = []
    yield from _put_back(batch, moment)


def _put_back(rows: list[Subscription], moment: datetime) -> Iterator[Seat]:
    facts = {row.pk: _facts_of(row) for row in rows}
    for pk, replaced in _replaced_since(list(facts), moment):
        for name, value in replaced.items():
            if value is not None:
                facts[pk][name] = None if value == NEVER else value
    for row in rows:
        yield Seat(external_id=row.external_id, email=row.email, **facts[row.pk])


def _facts_of(row: Subscription) -> dict[str, Any]:
    return {**{name: getattr(row, name) for name in COLUMNS if name != "gone"}, "gone": row.gone_at is not None}


def _replaced_since(ids: list[int], moment: datetime) -> list[tuple[int, dict[str, Any]]]:
    """What was replaced after `moment`, the newest change first, so that the oldest has the last word."""
    of_runs = ActivitySnapshot.objects.filter(subscription__in=ids, run__finished_at__gt=moment)
    between = RecheckSnapshot.objects.filter(subscription__in=ids, seen_at__gt=moment)
    found = [
        (when, pk, dict(zip(COLUMNS, values, strict=True)))
        for when, pk, *values in (
            *of_runs.values_list("run__finished_at", "subscription_id", *COLUMNS),
            *between.values_list("seen_at", "subscription_id", *COLUMNS),
        )
    ]
    found.sort(key=lambda change: change[0], reverse=True)
    return [(pk, replaced) for _, pk, replaced in found]


def activity_seen(row: Subscription) -> list[datetime]:
    """Every last activity that was ever known of this person, the oldest first."""
    told = Q(last_activity_at__isnull=False) & ~Q(last_activity_at=NEVER)
    former = [
        *row.snapshots.filter(told).values_list("last_activity_at", flat=True),
        *row.recheck_snapshots.filter(told).values_list("last_activity_at", flat=True),
    ]
    return sorted({moment for moment in (*former, row.last_activity_at) if moment})


def changes_of(row: Subscription) -> int:
    """How often something about this person was found different."""
    return row.snapshots.count() + row.recheck_snapshots.count()
