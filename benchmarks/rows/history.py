"""Measure the size of a day of history, over 30 runs of 100,000 members, and check that days read back exactly."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING, Any

from django.db import connection, transaction
from django.utils import timezone

from benchmarks import environment
from benchmarks.rows import Row, at_most

if TYPE_CHECKING:
    from integrations.models import IntegrationProfile
    from subscriptions.activity.snapshots import Seat

Known = list[tuple[str, "datetime | None"]]
MEMBERS = 100_000
RUNS = 30
# Percent of the members that were active since the last run -> maximum of bytes per member-day.
CHURN = {5: 4.0, 25: 18.0}
FIRST = """
INSERT INTO subscriptions_downloadedmember
SELECT %s, (3074457345000000000 + n)::text, 'person' || n || '@northwind.example', TRUE, 'full',
       'organization_internal_user', %s - n %% 900 * interval '1 day', %s - n %% 90 * interval '1 day', TRUE, ''
  FROM generate_series(1, %s) AS n
"""
NEXT = """
INSERT INTO subscriptions_downloadedmember
SELECT %s, external_id, email, active, license, role, license_assigned_at,
       CASE WHEN row_number() OVER (ORDER BY hashtext(external_id || '-' || %s)) <= %s THEN %s
            ELSE last_activity_at END,
       reclaimable, why_not
  FROM subscriptions_subscription WHERE profile_id = %s
"""
KNOWN = "SELECT external_id, last_activity_at FROM subscriptions_subscription ORDER BY id"


def run(members: int = MEMBERS) -> list[Row]:
    environment.prepare()
    rows = []
    for churn, most in CHURN.items():
        environment.execute("TRUNCATE subscriptions_subscription, subscriptions_activitysnapshot CASCADE")
        size, note = _simulate(members, churn)
        per_day = size / members / RUNS
        name = f"history, bytes per member-day at {churn} % churn"
        rows.append(at_most(name, per_day, most=most, note=note, unit="bytes"))
    return rows


def _simulate(members: int, churn: int) -> tuple[int, str]:
    """The bytes of the history after 30 runs, with indexes, and a note on three days that were read back."""
    from benchmarks.pages import ORGANIZATION
    from subscriptions.profiles import lifecycle

    number = f"{ORGANIZATION}{churn}"
    profile = lifecycle.create_profile(name=number, organization_id=number, kind="miro_enterprise", actor=None)
    begin = timezone.now() - timedelta(days=RUNS + 1)
    run_at(profile, begin, FIRST, [begin, begin, members])
    remembered = {}
    for day in range(1, RUNS + 1):
        moment = begin + timedelta(days=day)
        run_at(profile, moment, NEXT, [str(day), churn * members // 100, moment, profile.pk])
        if day in (1, RUNS // 2, RUNS):
            remembered[moment] = _known()
    environment.execute("VACUUM (ANALYZE) subscriptions_activitysnapshot")
    return _size(), _read_back(profile, remembered)


def run_at(profile: IntegrationProfile, moment: datetime, statement: str, parameters: list[Any]) -> None:
    """Make a complete run at this moment, by the same merge as a download."""
    from subscriptions.downloads.run import write_facts
    from subscriptions.models import DownloadRun

    found = DownloadRun.objects.create(
        profile=profile, started_by="schedule", started_at=moment, lease_until=moment, finished_at=moment
    )
    with transaction.atomic():
        with connection.cursor() as cursor:
            cursor.execute(statement, [found.pk, *parameters])
            found.read = cursor.rowcount
        write_facts(found, now=moment)
        DownloadRun.objects.filter(pk=found.pk).update(state="complete")


def _known() -> Known:
    with connection.cursor() as cursor:
        cursor.execute(KNOWN)
        return list(cursor.fetchall())


def _read_back(profile: IntegrationProfile, remembered: dict[datetime, Known]) -> str:
    from subscriptions.activity.snapshots import as_of

    for moment, known in remembered.items():
        seconds, _ = environment.timed(partial(_same, as_of(profile, moment), known))
    return f"{len(remembered)} days read back exactly, the last in {seconds:.1f} s"


def _same(seats: Iterable[Seat], known: Known) -> None:
    found = [(seat.external_id, seat.last_activity_at) for seat in seats]
    if found != known:
        raise RuntimeError("A day of the history did not read back as it was.")


def _size() -> int:
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_total_relation_size('subscriptions_activitysnapshot')")
        return int(cursor.fetchone()[0])
