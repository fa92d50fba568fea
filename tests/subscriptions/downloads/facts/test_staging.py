"""The staging table: what goes in comes out as it was, and each run has its own."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from django.utils import timezone

from integrations.connectors.contract import Member
from integrations.models import IntegrationProfile
from subscriptions.downloads.facts import staging
from subscriptions.models import DownloadRun

pytestmark = pytest.mark.django_db
SEEN = datetime(2026, 3, 29, 1, 59, 59, 999_999, tzinfo=UTC)
PEOPLE = [
    Member("1", "a@northwind.example", True, "full", "user", SEEN, None, True, ""),
    Member("2", "tab\t, \\N, \\., “ü” and\nline", False, "", "", None, SEEN, False, "Two\r\nlines."),
]


def run_of(name: str) -> DownloadRun:
    profile = IntegrationProfile.objects.create(name=name, organization_id=name, kind="miro_enterprise")
    return DownloadRun.objects.create(profile=profile, started_by="command", lease_until=timezone.now())


def rows(run: DownloadRun) -> list[tuple[object, ...]]:
    return list(run.members.order_by("external_id").values_list(*Member._fields))


def test_the_columns_are_those_of_a_member():
    assert ("run_id", *Member._fields) == staging.COLUMNS


def test_what_is_stored_is_read_back():
    run = run_of("1")
    staging.store(run, PEOPLE)
    assert rows(run) == [tuple(person) for person in PEOPLE]


CONTRADICTIONS = [
    {"email": "b@northwind.example"},
    {"active": False},
    {"license": "free"},
    {"role": "admin"},
    {"license_assigned_at": SEEN - timedelta(days=1)},
    {"license_assigned_at": None},
    {"reclaimable": False},
    {"why_not": "Admins stay."},
]


@pytest.mark.parametrize("change", CONTRADICTIONS, ids=str)
def test_the_same_member_with_another_fact_is_a_contradiction(change):
    run = run_of("1")
    staging.store(run, [PEOPLE[0], PEOPLE[1], PEOPLE[0]._replace(**change)])
    assert staging.contradiction(run) == "1"


def test_a_member_may_be_active_while_the_pages_are_read():
    run = run_of("1")
    later = PEOPLE[0]._replace(last_activity_at=SEEN + timedelta(hours=1))
    staging.store(run, [PEOPLE[0], PEOPLE[1], later])
    assert staging.contradiction(run) == ""


def test_a_run_that_ends_leaves_alone_what_another_profile_reads():
    """The same person may be a member of two organizations."""
    one, other = run_of("1"), run_of("2")
    staging.store(one, PEOPLE)
    staging.store(other, PEOPLE)

    staging.empty_all(one.profile)

    assert (len(rows(one)), len(rows(other))) == (0, 2)
