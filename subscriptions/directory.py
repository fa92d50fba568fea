"""Names, departments and cost centers from the vendor's directory, written after a complete run."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice

from integrations.connectors.contract import ConfigError, Person
from integrations.models import IntegrationProfile
from subscriptions.models import Subscription

BATCH = 500
COLUMNS = ("name", "department", "cost_center")
FOREIGN = (
    "The directory knows nobody of this organization, so the SCIM token seems to belong to another one. Nothing is "
    "sent through it. Make a SCIM API token in this organization's company settings at Miro, and set it here."
)


def write_names(profile: IntegrationProfile, people: Iterable[Person]) -> int:
    """Write what differs. Whom the directory does not know (guests) keeps the e-mail address as name.

    Returns how many rows were written. Raises ConfigError when the directory has people, and none of them is ours:
    nobody must be deactivated through such a token.
    """
    written = asked = found = 0
    for batch in _batches(people):
        rows = _known(profile, batch)
        asked, found = asked + len(batch), found + len(rows)
        written += _write(rows, batch)
    if asked and not found:
        raise ConfigError(FOREIGN, slot=profile.connector.reclaim_slot, code="foreign_directory")
    return written


def _batches(people: Iterable[Person]) -> Iterator[list[Person]]:
    iterator = iter(people)
    while batch := list(islice(iterator, BATCH)):
        yield batch


def _known(profile: IntegrationProfile, batch: list[Person]) -> dict[str, Subscription]:
    ids = [person.external_id for person in batch]
    known = Subscription.objects.filter(profile=profile, external_id__in=ids).only("external_id", *COLUMNS)
    return {row.external_id: row for row in known}


def _write(rows: dict[str, Subscription], batch: list[Person]) -> int:
    changed = [row for person in batch if (row := rows.get(person.external_id)) and _take(row, person)]
    return Subscription.objects.bulk_update(changed, COLUMNS) if changed else 0


def _take(row: Subscription, person: Person) -> bool:
    """Put the person's names on the row; False when it has them already."""
    new = (person.name, person.department, person.cost_center)
    if new == (row.name, row.department, row.cost_center):
        return False
    row.name, row.department, row.cost_center = new
    return True
