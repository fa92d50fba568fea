"""PostgreSQL finds the rows of each page by an index. An index that is lost, or no longer fits, is a red test."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from django.contrib.auth.models import User
from django.db import connection, transaction
from django.test import Client
from django.test.utils import CaptureQueriesContext

from benchmarks.generate import organization
from benchmarks.rows.web.lists import addresses
from licensehub.ui.lists import counts, search_results

pytestmark = [
    pytest.mark.skipif(connection.vendor != "postgresql", reason="asks PostgreSQL's planner"),
    # unfold's filter by time makes moments without a zone; Django takes them for those of the server.
    pytest.mark.filterwarnings("ignore:DateTimeField:RuntimeWarning"),
]

LARGE = (
    "subscriptions_subscription",
    "subscriptions_evaluation",
    "subscriptions_removalcandidate",
    "subscriptions_reclaim",
    "audit_auditevent",
)
WHOLE = re.compile(rf"Seq Scan on ({'|'.join(LARGE)})\b")
# No list asks PostgreSQL for more rows than a page has, and one; of what is searched for, for all while they are few.
PAGE = re.compile(r"ORDER BY .* LIMIT (26|51|101)$", re.DOTALL)
FOUND = re.compile(rf"LIMIT ({search_results.STOP + 1}\) AS found ORDER BY|{counts.STOP + 1}\) AS found$)")
OF_RUN = re.compile(r'FROM "subscriptions_activitysnapshot"')
# Of 20,000 it is faster to read all than to look up each of a thousand.
READ_WHOLE = ("subscriptions, two verdicts",)
# The indexes that lists cannot do without, and a page that shows it.
NEEDED = {
    "subscription_idle": "subscriptions, middle",
    "evaluation_verdict_idle": "subscriptions, verdict",
    "search_text": "subscriptions, by name",
    "search_department": "subscriptions, by department, last",
    "subscription_role": "subscriptions, a rare role",
    "subscription_license": "subscriptions, a rare license",
    "subscription_never": "subscriptions, never active",
    "subscription_free": "subscriptions, no seat",
    "candidate_state_idle": "candidates, last",
    "candidate_license_idle": "candidates, a license",
    "candidate_closed_idle": "candidates, closed, last",
    "candidate_state_text": "candidates, by name",
    "candidate_closed_text": "candidates, closed, by name",
    "candidate_state_department": "candidates, a department",
    "candidate_closed_department": "candidates, closed, by department",
    "reclaim_queued": "history, last",
    "reclaim_state_queued": "history, in doubt",
    "audit_auditevent_pkey": "audit, middle",
    "audit_action": "audit, an action, last",
    "audit_at": "audit, a day",
}


@pytest.fixture(scope="module")
def pages(django_db_setup, django_db_blocker) -> Iterator[dict[str, str]]:
    """A customer of 20,000: few enough to be made in a test, and enough for a planner to look for an index.

    Made once for all tests of this file, around the transaction of each.
    """
    with django_db_blocker.unblock(), transaction.atomic():
        organization(members=20_000, reclaims=20_000, events=30_000, statistics="ANALYZE")
        yield addresses()
        transaction.set_rollback(True)


@pytest.fixture
def client(pages, db) -> Client:
    signed_in = Client()
    signed_in.force_login(User.objects.create_superuser("admin", "admin@northwind.example", "a long password"))
    return signed_in


def plans(client: Client, address: str, asking: re.Pattern[str] = PAGE) -> str:
    """Return how the rows of this page are found."""
    with CaptureQueriesContext(connection) as asked:
        assert client.get(address).status_code == 200
    return "\n".join(plan_of(query["sql"]) for query in asked.captured_queries if asking.search(query["sql"]))


def uncapped(client: Client, address: str) -> list[str]:
    """The counts of large tables that stop nowhere."""
    with CaptureQueriesContext(connection) as asked:
        client.get(address)
    statements = [query["sql"] for query in asked.captured_queries if query["sql"].startswith("SELECT COUNT(")]
    return [sql for sql in statements if "LIMIT" not in sql and any(table in sql for table in LARGE)]


def plan_of(sql: str) -> str:
    with connection.cursor() as cursor:
        cursor.execute(f"EXPLAIN {sql}")
        return "\n".join(row[0] for row in cursor.fetchall())


def test_no_page_reads_a_whole_table(client, pages):
    scans = {name: WHOLE.findall(plans(client, address)) for name, address in pages.items() if name not in READ_WHOLE}
    assert {name: tables for name, tables in scans.items() if tables} == {}


def test_each_index_is_used(client, pages):
    used = {index: index in plans(client, pages[name]) for index, name in NEEDED.items()}
    assert [index for index, is_used in used.items() if not is_used] == []
    assert "snapshot_run" in plans(client, pages["subscriptions, gone since a download"], OF_RUN)
    assert "audit_what" in plans(client, pages["audit, a name"], FOUND)


def test_no_list_counts_to_the_end(client, pages):
    """The overview does: it lists nothing."""
    endless = {name: uncapped(client, address) for name, address in pages.items() if name != "overview"}
    assert {name: found for name, found in endless.items() if found} == {}


def test_the_letters_have_an_index(client, pages):
    """PostgreSQL may well read all of 20,000 texts; with that forbidden it must find the index."""
    with connection.cursor() as cursor:
        # A vacuum moves new texts into the index. Until then, PostgreSQL expects this index to be slow.
        cursor.execute("SELECT gin_clean_pending_list('search_letters')")
        cursor.execute("SET LOCAL enable_seqscan = off")
    for name in ("subscriptions", "candidates", "history"):
        assert "search_letters" in plans(client, pages[f"{name}, part of a name"], FOUND)


def test_the_export_reads_by_key(client, pages):
    with CaptureQueriesContext(connection) as asked:
        response = client.get("/admin/audit/auditevent/export/")
        lines = sum(chunk.count(b"\r\n") for chunk in response.streaming_content)
    assert lines == 30_001
    assert not any("DECLARE" in query["sql"] for query in asked.captured_queries)
    chunks = [query["sql"] for query in asked.captured_queries if query["sql"].endswith("LIMIT 2000")]
    assert len(chunks) == 16
    # Of the page that the list itself reads, and of no chunk.
    assert sum('"sequence" IN (' in query["sql"] for query in asked.captured_queries) == 1
    assert not any(WHOLE.search(plan_of(sql)) for sql in chunks)


@pytest.mark.parametrize(
    ("index", "asking"),
    [
        ("subscription_one_per_member", "LIMIT 1 OFFSET 1000$"),
        ("bucket_newest", r'FROM "subscriptions_bucket" .* ORDER BY 1 DESC'),
    ],
)
def test_the_overview_finds_its_counts_by_an_index(client, pages, monkeypatch, index, asking):
    monkeypatch.setattr("subscriptions.eligibility.people_counts.COUNTED_LIVE", 1000)
    assert index in plans(client, pages["overview"], re.compile(asking, re.DOTALL))
