"""Names, departments and cost centers from the vendor's directory, written after a complete run.

A batch of people goes to the database as one value, and one UPDATE writes the rows that differ from it.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from itertools import islice

from django.db import connection

from integrations.connectors.contract import ConfigError, Person
from integrations.models import IntegrationProfile

# As many as a page of Miro's directory holds.
BATCH = 1000
COLUMNS = ("name", "department", "cost_center")
FOREIGN = (
    "The directory knows nobody of this organization, so the SCIM token seems to belong to another one. Nothing is "
    "sent through it. Make a SCIM API token in this organization's company settings at Miro, and set it here."
)
# The people of a batch as rows; parameter: their JSON. https://www.sqlite.org/json1.html#jeach
POSTGRESQL = (
    "json_to_recordset(%s::json) AS p (external_id varchar, name varchar, department varchar, cost_center varchar)"
)
SQLITE = "(SELECT {} FROM json_each(%s)) AS p".format(  # noqa: S608 - constants of this module, values as parameters
    ", ".join(f"json_extract(value, '$.{column}') AS {column}" for column in ("external_id", *COLUMNS))
)


def write_names(profile: IntegrationProfile, people: Iterable[Person]) -> int:
    """Write what differs. Whom the directory does not know (guests) keeps the e-mail address as name.

    Returns how many rows were written. Raises ConfigError when the directory has people, and none of them is ours:
    nobody must be deactivated through such a token.
    """
    written = asked = 0
    found = False
    for batch in _batches(people):
        rows = json.dumps([_told(person) for person in batch])
        asked += len(batch)
        found = found or _knows(profile, rows)
        written += _write(profile, rows)
    if asked and not found:
        raise ConfigError(FOREIGN, slot=profile.connector.reclaim_slot, code="foreign_directory")
    return written


def _batches(people: Iterable[Person]) -> Iterator[list[Person]]:
    """Each person once in a batch, as the last page told it: an UPDATE meets a row once."""
    iterator = iter(people)
    while batch := list(islice(iterator, BATCH)):
        yield list({person.external_id: person for person in batch}.values())


def _told(person: Person) -> dict[str, str]:
    return {"external_id": person.external_id, **{column: getattr(person, column) for column in COLUMNS}}


def _people() -> str:
    return POSTGRESQL if connection.vendor == "postgresql" else SQLITE


def _knows(profile: IntegrationProfile, rows: str) -> bool:
    """Whether anybody of the batch is a member of ours."""
    with connection.cursor() as cursor:
        cursor.execute(
            f"""
            SELECT EXISTS (SELECT 1 FROM {_people()}, subscriptions_subscription AS s
                            WHERE s.profile_id = %s AND s.external_id = p.external_id)
            """,  # noqa: S608 - the names are constants of this module
            [rows, profile.pk],
        )
        return bool(cursor.fetchone()[0])


def _write(profile: IntegrationProfile, rows: str) -> int:
    """How many differed."""
    sets = ", ".join(f"{column} = p.{column}" for column in COLUMNS)
    differs = " OR ".join(f"s.{column} <> p.{column}" for column in COLUMNS)
    with connection.cursor() as cursor:
        cursor.execute(
            f"""
            UPDATE subscriptions_subscription AS s SET {sets} FROM {_people()}
             WHERE s.profile_id = %s AND s.external_id = p.external_id AND ({differs})
            """,  # noqa: S608 - constants of this module, values as parameters
            [rows, profile.pk],
        )
        return int(cursor.rowcount)
