"""Names, departments, managers and so on from the vendor's directory, written after a complete run.

They are gathered page by page in DownloadedPerson. When all pages are read, one UPDATE writes the rows that differ.
"""

from __future__ import annotations

from collections.abc import Iterable
from operator import attrgetter
from typing import NamedTuple

from integrations.connectors.contract import ConfigError, Person
from integrations.models import IntegrationProfile
from subscriptions.bulk_sql import copy_or_insert, execute, fetch_row, large_tables
from subscriptions.models import DownloadedPerson, DownloadRun

COLUMNS = (
    "name",
    "given_name",
    "department",
    "cost_center",
    "division",
    "employee_number",
    "manager",
    "manager_id",
    "language",
)
FIELDS = ("external_id", *COLUMNS)
# Only the names of our own columns go into the braces; all values are parameters.
DROP_FORMER = """
DELETE FROM subscriptions_downloadedperson
 WHERE run_id = %s
   AND EXISTS (SELECT 1 FROM subscriptions_downloadedperson AS later
                WHERE later.run_id = subscriptions_downloadedperson.run_id
                  AND later.external_id = subscriptions_downloadedperson.external_id
                  AND later.id > subscriptions_downloadedperson.id)
"""
KNOWS = """
SELECT EXISTS (SELECT 1 FROM subscriptions_downloadedperson AS p, subscriptions_subscription AS s
                WHERE p.run_id = %s AND s.profile_id = %s AND s.external_id = p.external_id)
"""
WRITE = """
UPDATE subscriptions_subscription AS s
   SET {assignments}
  FROM subscriptions_downloadedperson AS p
 WHERE p.run_id = %s AND s.profile_id = %s AND s.external_id = p.external_id AND ({differs})
""".format(
    assignments=", ".join(f"{name} = p.{name}" for name in COLUMNS),
    differs=" OR ".join(f"s.{name} <> p.{name}" for name in COLUMNS),
)


class Written(NamedTuple):
    """The result of a write.

    `known`: any of the people is a member of the profile. `rows`: the number of written rows.
    """

    known: bool
    rows: int


def gather(run: DownloadRun, people: Iterable[Person]) -> None:
    """Store the people of a page. Call it in the transaction that saves the cursor."""
    values, pk = attrgetter(*FIELDS), run.pk
    copy_or_insert(DownloadedPerson, ("run_id", *FIELDS), ((pk, *values(person)) for person in people))


def write_gathered(run: DownloadRun) -> Written:
    """Write the entries that differ, and delete the gathered rows. Call it in a transaction.

    If a person is on two pages, the later one counts. A person without an entry is shown by the e-mail address.
    """
    with large_tables():
        execute(DROP_FORMER, [run.pk])
        [known] = fetch_row(KNOWS, [run.pk, run.profile_id])
        rows = execute(WRITE, [run.pk, run.profile_id])
    run.people.all().delete()
    return Written(bool(known), rows)


def forget(profile: IntegrationProfile) -> None:
    """Delete the gathered rows of earlier runs that could not read the directory to its end."""
    runs = DownloadRun.objects.filter(profile=profile)
    DownloadedPerson.objects.filter(run__in=runs.values("pk")).delete()


def foreign(profile: IntegrationProfile) -> ConfigError:
    """The error for a directory without any member: its token is of another organization and may deactivate nobody."""
    connector = profile.connector
    return ConfigError(connector.texts.foreign_directory, slot=connector.reclaim_slot, code="foreign_directory")
