"""Names, departments, managers and so on from the vendor's directory, written after a complete run.

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
from subscriptions.bulk_sql import execute
from subscriptions.models import Subscription

# A page of the vendor's directory has at most this many people.
BATCH = 1000
COLUMNS = (
    "name",
    "given_name",
    "department",
    "cost_center",
    "division",
    "employee_number",
    "manager",
    "manager_id",
)
FIELDS = ("external_id", *COLUMNS)
EXTRACTED = ", ".join(f"json_extract(value, '$.{name}') AS {name}" for name in FIELDS)
# The people of a batch as rows `p`, by database; parameter: their JSON. https://www.sqlite.org/json1.html#jeach
PEOPLE = {
    "postgresql": f"json_to_recordset(%s::json) AS p ({', '.join(f'{name} varchar' for name in FIELDS)})",
    "sqlite": f"(SELECT {EXTRACTED} FROM json_each(%s)) AS p",  # noqa: S608 - names of our own columns
}
# Only PEOPLE and the names of our own columns go into the braces; all values are parameters.
WRITE = {
    # Only one join: for a second one by id, PostgreSQL would read the people again for each row of a table that its
    # statistics call empty.
    "postgresql": """
UPDATE subscriptions_subscription AS s
   SET {assignments}
  FROM {people}
 WHERE s.profile_id = %s AND s.external_id = p.external_id AND ({differs})
""",
    # Materialized, and joined from the people on (CROSS JOIN): SQLite would read all of them again for each row of the
    # table, which took a minute and a half for a page where the organization has 20,000 people.
    "sqlite": """
UPDATE subscriptions_subscription
   SET {assignments}
  FROM (WITH found AS MATERIALIZED
             (SELECT s.id, {values}
                FROM {people} CROSS JOIN subscriptions_subscription AS s
               WHERE s.profile_id = %s AND s.external_id = p.external_id
                 AND ({differs}))
        SELECT * FROM found) AS p
 WHERE subscriptions_subscription.id = p.id
""",
}
PARTS = {
    "values": ", ".join(f"p.{name}" for name in COLUMNS),
    "assignments": ", ".join(f"{name} = p.{name}" for name in COLUMNS),
    "differs": " OR ".join(f"s.{name} <> p.{name}" for name in COLUMNS),
}


class Written(NamedTuple):
    """`known`: any of these people is a member of the profile. `rows`: the number of rows that were written."""

    known: bool
    rows: int


def write_names(profile: IntegrationProfile, people: Iterable[Person]) -> Written:
    """Write the entries that differ. A person without an entry is shown by the e-mail address."""
    entries = PEOPLE[connection.vendor]
    members = Subscription.objects.filter(profile=profile)
    written, known = 0, False
    for batch in _batches(people):
        rows = json.dumps([{name: getattr(person, name) for name in FIELDS} for person in batch])
        # A list of ids, not a join: for that one, PostgreSQL would read all people of the batch for each member.
        known = known or members.filter(external_id__in=[person.external_id for person in batch]).exists()
        written += execute(WRITE[connection.vendor].format(people=entries, **PARTS), [rows, profile.pk])
    return Written(known, written)


def foreign(profile: IntegrationProfile) -> ConfigError:
    """The error for a directory without any member: its token is of another organization and may deactivate nobody."""
    connector = profile.connector
    return ConfigError(connector.texts.foreign_directory, slot=connector.reclaim_slot, code="foreign_directory")


def _batches(people: Iterable[Person]) -> Iterator[list[Person]]:
    """A batch has each person once, as the last page shows them, since an UPDATE writes a row only once."""
    iterator = iter(people)
    while batch := list(islice(iterator, BATCH)):
        yield list({person.external_id: person for person in batch}.values())
