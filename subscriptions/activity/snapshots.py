"""Past activity of subscriptions: keep what a change replaces, and reconstruct the state of any day."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple

from integrations.models import IntegrationProfile
from subscriptions.models import ActivitySnapshot, RecheckSnapshot, Subscription
from subscriptions.models.snapshot import NEVER

COLUMNS = ("last_activity_at", "license_assigned_at", "email", "license", "role", "active", "gone")
MOMENTS = ("last_activity_at", "license_assigned_at")
# How many rows are reconstructed at once, which limits the memory.
CHUNK = 2000


@dataclass(frozen=True, slots=True)
class Seat:
    """The known facts of one subscription at one moment."""

    external_id: str
    email: str
    last_activity_at: datetime | None
    license_assigned_at: datetime | None
    license: str
    role: str
    active: bool
    gone: bool


class Change(NamedTuple):
    """When a change of a person was found, and what it replaced. A fact that stayed is None."""

    at: datetime | None
    last_activity_at: datetime | None
    email: str | None


def keep_replaced(former: Subscription, changes: Mapping[str, Any], *, seen_at: datetime) -> None:
    """Outside of a run: keep what `changes` (fact -> new value) replace, in the transaction that writes them."""
    facts = {name: getattr(former, name) for name in changes if name in COLUMNS}
    replaced = {
        name: NEVER if name in MOMENTS and fact is None else fact
        for name, fact in facts.items()
        if fact != changes[name]
    }
    if replaced:
        RecheckSnapshot.objects.create(subscription=former, seen_at=seen_at, **replaced)


def oldest_of(column: str) -> str:
    """SQL for statements about replaced facts: a person's oldest value that is not NULL, by the column `at`.

    NULL means that nothing was replaced.
    """
    not_null_first = f"CASE WHEN {column} IS NULL THEN 1 ELSE 0 END, at"
    return f"FIRST_VALUE({column}) OVER (PARTITION BY subscription_id ORDER BY {not_null_first})"


def as_of(profile: IntegrationProfile, moment: datetime) -> Iterator[Seat]:
    """All subscriptions as known at `moment`: today's facts, with each later change undone, the newest first.

    A person who was first seen later is left out.
    """
    rows = Subscription.objects.filter(profile=profile, first_run__finished_at__lte=moment).order_by("pk")
    batch: list[Subscription] = []
    for row in rows.iterator(chunk_size=CHUNK):
        batch.append(row)
        if len(batch) == CHUNK:
            yield from _undo_changes(batch, moment)
            batch = []
    yield from _undo_changes(batch, moment)


def _undo_changes(rows: list[Subscription], moment: datetime) -> Iterator[Seat]:
    names = [name for name in COLUMNS if name != "gone"]
    facts: dict[int, dict[str, Any]] = {
        row.pk: {**{name: getattr(row, name) for name in names}, "gone": row.gone_at is not None} for row in rows
    }
    for pk, replaced in _replaced_since(list(facts), moment):
        for name, value in replaced.items():
            if value is not None:
                facts[pk][name] = None if value == NEVER else value
    for row in rows:
        yield Seat(external_id=row.external_id, **facts[row.pk])


def _replaced_since(ids: list[int], moment: datetime) -> list[tuple[int, dict[str, Any]]]:
    """The facts that were replaced after `moment`, the newest change first. The oldest is undone last, so it counts."""
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


def changes_of(row: Subscription) -> list[Change]:
    """The changes of this person that are kept, in no order. Two queries."""
    columns = ("last_activity_at", "email")
    of_runs = row.snapshots.order_by().values_list("run__finished_at", *columns)
    between = row.recheck_snapshots.order_by().values_list("seen_at", *columns)
    return [Change(*values) for values in (*of_runs, *between)]


def activity_seen(row: Subscription, changes: Iterable[Change]) -> list[datetime]:
    """All values that the last activity of this person has had, the oldest first. `changes` are those of the row."""
    values = {row.last_activity_at, *(change.last_activity_at for change in changes)}
    return sorted(moment for moment in values if moment and moment != NEVER)
