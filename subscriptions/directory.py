"""Names, departments and cost centers from the vendor's directory, written after a complete run."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice

from integrations.connectors.contract import Person
from integrations.models import IntegrationProfile
from subscriptions.models import Subscription

BATCH = 500
COLUMNS = ("name", "department", "cost_center")


def write_names(profile: IntegrationProfile, people: Iterable[Person]) -> int:
    """Write what differs. Whom the directory does not know (guests) keeps the e-mail address as name."""
    return sum(_write_batch(profile, batch) for batch in _batches(people))


def _batches(people: Iterable[Person]) -> Iterator[list[Person]]:
    iterator = iter(people)
    while batch := list(islice(iterator, BATCH)):
        yield batch


def _write_batch(profile: IntegrationProfile, batch: list[Person]) -> int:
    known = Subscription.objects.filter(profile=profile, external_id__in=[person.external_id for person in batch]).only(
        "external_id", *COLUMNS
    )
    rows = {row.external_id: row for row in known}
    changed = [row for person in batch if (row := rows.get(person.external_id)) and _take(row, person)]
    return Subscription.objects.bulk_update(changed, COLUMNS) if changed else 0


def _take(row: Subscription, person: Person) -> bool:
    """Put the person's names on the row; False when it has them already."""
    new = (person.name, person.department, person.cost_center)
    if new == (row.name, row.department, row.cost_center):
        return False
    row.name, row.department, row.cost_center = new
    return True
