"""Compare rows with their newest signed events: some of them for a page, or all of them for *Verify*.

A row can be changed in the database, a signed event cannot. See `signed_fields` for what is compared.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from django.db.models import Model, QuerySet, prefetch_related_objects

from licensehub.audit.actions import Action
from licensehub.audit.chain.signed import is_genuine
from licensehub.audit.models import AuditEvent
from licensehub.ui.lists.id_filter import IdIn, IdList
from subscriptions.evidence.rows.findings import CHANGED_EVENT, EVENT, GONE, NEVER_MADE, ROW, RowFinding
from subscriptions.evidence.rows.people import verify_people
from subscriptions.evidence.rows.signed_fields import SIGNED_TABLES
from subscriptions.evidence.rows.signed_table import SignedTable
from subscriptions.models import RequestedRemoval

CHUNK = 2000  # rows
TABLES = {table.model: table for table in SIGNED_TABLES}


@dataclass(slots=True)
class _Signed:
    """The values that the events have for one row: field -> (value, sequence of the event)."""

    values: dict[str, tuple[Any, int]] = field(default_factory=dict)
    begun: int | None = None
    last: int = 0
    changed: list[int] = field(default_factory=list)

    def add(self, event: AuditEvent, table: SignedTable) -> None:
        if not is_genuine(event):
            self.changed.append(event.sequence)
            self.last = event.sequence
            return
        values = table.said_by(event)
        if event.salt and not values:
            return  # about something else of its subject
        self.last = event.sequence
        if event.action in table.begins:
            self.begun = event.sequence
        if not event.salt:
            # Its text was erased, so what it may have said is not known any more. The rest still is.
            forgotten = table.may_say.get(Action(event.action))
            self.values = {name: said for name, said in self.values.items() if forgotten and name not in forgotten}
        self.values |= {name: (value, event.sequence) for name, value in values.items()}


def verify_rows() -> Iterator[RowFinding]:
    """All differences in all tables, some thousand rows at a time, with rows without event and events without row."""
    for table in SIGNED_TABLES:
        yield from _verify(table)
    yield from verify_people()


def check_rows() -> tuple[list[str], int]:
    """For the page *Evidence*: a sentence in English for each difference, and how many rows were compared."""
    people = RequestedRemoval.objects.count()
    return [finding.sentence for finding in verify_rows()], people + sum(one.rows().count() for one in SIGNED_TABLES)


def findings_about(row: Model) -> list[RowFinding]:
    """Return what was changed in this row outside of LicenseHub; empty for a row that is not compared."""
    table = next((one for model, one in TABLES.items() if isinstance(row, model)), None)
    return differences(table, [row]).get(row.pk, []) if table else []


def differences(table: SignedTable, rows: Iterable[Any]) -> dict[int, list[RowFinding]]:
    """The differences of the rows of a page, by id: one query for all of them."""
    shown = list(rows)
    prefetch_related_objects(shown, *table.prefetch)
    signed = _signed(table, _events(table).filter(IdIn("target_id", IdList.of(row.pk for row in shown))))
    found = {row.pk: list(_compare(table, row, signed.get(row.pk, _Signed()))) for row in shown}
    return {pk: findings for pk, findings in found.items() if findings}


def _verify(table: SignedTable) -> Iterator[RowFinding]:
    before = 0
    while True:
        rows = list(table.rows().filter(pk__gt=before).order_by("pk")[:CHUNK])
        last = rows[-1].pk if len(rows) == CHUNK else None
        events = _events(table).filter(target_id__gt=before)
        signed = _signed(table, events.filter(target_id__lte=last) if last else events)
        for row in rows:
            yield from _compare(table, row, signed.pop(row.pk, _Signed()))
        yield from (RowFinding(table.label, pk, ROW, None, GONE, left.last) for pk, left in signed.items() if left.last)
        if last is None:
            return
        before = last


def _events(table: SignedTable) -> QuerySet[AuditEvent]:
    return AuditEvent.objects.filter(target_type=table.subject, action__in=[action.value for action in table.says])


def _signed(table: SignedTable, events: QuerySet[AuditEvent]) -> dict[int, _Signed]:
    found: dict[int, _Signed] = defaultdict(_Signed)
    for event in events.order_by("target_id", "sequence").iterator(chunk_size=CHUNK):
        found[event.target_id].add(event, table)
    return dict(found)


def _compare(table: SignedTable, row: Any, signed: _Signed) -> Iterator[RowFinding]:
    shown: Mapping[str, Any] = table.shown(row)
    for sequence in signed.changed:
        yield RowFinding(table.label, row.pk, EVENT, CHANGED_EVENT, None, sequence)
    if table.begins and signed.begun is None and not signed.changed:
        yield RowFinding(table.label, row.pk, ROW, NEVER_MADE, None, None)
        return
    for name, (value, sequence) in signed.values.items():
        if name in shown and shown[name] != value:
            yield RowFinding(table.label, row.pk, name, shown[name], value, sequence)
