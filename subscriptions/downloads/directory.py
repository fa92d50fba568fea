"""Names, departments and cost centers from the vendor's directory, written after a complete run.

A batch of people goes to the database as one value, and one UPDATE writes the rows that differ from it.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from itertools import islice
from typing import NamedTuple

from django.db import connection

from integrations.connectors.contract import ConfigError, Person
from integrations.models import IntegrationProfile
from subscriptions.bulk_sql import execute, fetch_row

# A page of the vendor's directory has at most this many people.
BATCH = 1000
COLUMNS = ("name", "department", "cost_center")
# The people of a batch as rows `p`, by database; parameter: their JSON. https://www.sqlite.org/json1.html#jeach
PEOPLE = {
    "postgresql": """
       json_to_recordset(%s::json) AS p (external_id varchar, name varchar, department varchar, cost_center varchar)
""",
    "sqlite": """
       (SELECT json_extract(value, '$.external_id') AS external_id, json_extract(value, '$.name') AS name,
               json_extract(value, '$.department') AS department, json_extract(value, '$.cost_center') AS cost_center
          FROM json_each(%s)) AS p
""",
}
# Only PEOPLE goes into the braces; all values are parameters.
KNOWS = """
SELECT EXISTS (SELECT 1 FROM {people}, subscriptions_subscription AS s
                WHERE s.profile_id = %s AND s.external_id = p.external_id)
"""
WRITE = """
UPDATE subscriptions_subscription AS s
   SET name = p.name, department = p.department, cost_center = p.cost_center
  FROM {people}
 WHERE s.profile_id = %s AND s.external_id = p.external_id
   AND (s.name <> p.name OR s.department <> p.department OR s.cost_center <> p.cost_center)
"""


class Written(NamedTuple):
    """Whether any of these people is a member of the profile, and how many rows were written."""

    known: bool
    rows: int


def write_names(profile: IntegrationProfile, people: Iterable[Person]) -> Written:
    """Write what differs. A person without an entry is shown by the e-mail address."""
    entries = PEOPLE[connection.vendor]
    written, known = 0, False
    for batch in _batches(people):
        rows = json.dumps(
            [
                {"external_id": person.external_id, **{column: getattr(person, column) for column in COLUMNS}}
                for person in batch
            ]
        )
        known = known or bool(fetch_row(KNOWS.format(people=entries), [rows, profile.pk])[0])
        written += execute(WRITE.format(people=entries), [rows, profile.pk])
    return Written(known, written)


def foreign(profile: IntegrationProfile) -> ConfigError:
    """The directory has people, and none of them is a member: nobody may be deactivated through such a token."""
    connector = profile.connector
    return ConfigError(connector.texts.foreign_directory, slot=connector.reclaim_slot, code="foreign_directory")


def _batches(people: Iterable[Person]) -> Iterator[list[Person]]:
    """A batch has each person once, as the last page shows them, since an UPDATE writes a row only once."""
    iterator = iter(people)
    while batch := list(islice(iterator, BATCH)):
        yield list({person.external_id: person for person in batch}.values())
