"""Measure the pages of all lists, the overview, the preview of a rule, and the export of the audit log.

The limit is the same page with 1,000 rows in the tables, which is the time to render it. Pages are requested in this
process, by a superuser, with a warm cache. The functions empty and fill the database, which must be PostgreSQL.
"""

from __future__ import annotations

import resource
import statistics
import time
from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Any

from django.contrib.auth.models import User
from django.db import connection
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from benchmarks import environment
from benchmarks.generate import organization
from benchmarks.rows import Row
from licensehub.audit.models import AuditEvent
from licensehub.ui.lists.paging.keyset import Order
from subscriptions.admin.subscriptions.subscription_admin import SubscriptionAdmin
from subscriptions.models import DownloadRun, ReclaimRule, Subscription

# Seconds, and times the limit. The overview and the preview do not list rows.
MAX_OF_A_LIST, MAX_TIMES = 0.12, 1.5
MAX = {
    "overview": 0.1,
    "preview of a threshold": 0.2,
    "search everything, nothing typed": 0.1,
    "search everything, part of a name": 0.1,
}
# Searches for words that more than 1 % of the people have (ADR 16).
COMMON_WORDS = ("part of many names", "a common first name", "part of everybody's e-mail")
MAX_OF_COMMON_WORDS = 0.3
CLOSED = "state__in=closed_complete,closed_skipped,closed_canceled"
SMALL = 1000
TIMES = 15
TABLES = (
    "subscriptions_subscription, subscriptions_evaluation, subscriptions_searchtext, subscriptions_downloadrun, "
    "subscriptions_removalcandidate, subscriptions_reclaimrequest, subscriptions_requestedremoval, "
    "subscriptions_reclaim, subscriptions_bucket, subscriptions_reclaimrule, subscriptions_activitysnapshot, "
    "subscriptions_downloadedmember, integrations_integrationprofile, audit_auditevent"
)


def run(members: int = 1_000_000, reclaims: int = 500_000, events: int = 10_000_000) -> list[Row]:
    """Measure all pages and the export, with one filling of the database."""
    environment.prepare()
    environment.prepare_pages()
    _fill(SMALL, SMALL // 2, SMALL)
    floors = measure(addresses())
    _fill(members, reclaims, events)
    return [*compare(floors, measure(addresses())), export(events)]


def _fill(members: int, reclaims: int, events: int) -> None:
    empty()
    organization(members=members, reclaims=reclaims, events=events)


def empty() -> None:
    """Empty all tables that grow."""
    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE audit_auditevent DISABLE TRIGGER ALL")
        cursor.execute(f"TRUNCATE {TABLES} CASCADE")
        cursor.execute("ALTER TABLE audit_auditevent ENABLE TRIGGER ALL")


def compare(floors: Mapping[str, list[float]], ours: Mapping[str, list[float]]) -> list[Row]:
    """One row for each page: medians, and the 95th percentile in the note.

    A filter may leave few of 1,000 rows, and so little to render. So the limit of a filtered list is at least the limit
    of its first page.
    """
    rows = []
    for name, times in ours.items():
        first = floors.get(f"{name.partition(',')[0]}, first", floors[name])
        floor = max(statistics.median(first), statistics.median(floors[name]))
        rows.append(_row(name, floor, statistics.median(times), _p95(times)))
    return rows


def _row(name: str, floor: float, median: float, p95: float) -> Row:
    common = name.endswith(COMMON_WORDS)
    most = MAX_OF_COMMON_WORDS if common else MAX.get(name, MAX_OF_A_LIST)
    ratio, compared = median / floor, not common and name not in MAX
    times_floor = f", <= {MAX_TIMES:g}x" if compared else ""
    ok = p95 <= most and (not compared or ratio <= MAX_TIMES)
    return Row(name, floor, median, ratio, f"p95 {p95 * 1000:.0f} ms", f"p95 <= {most * 1000:.0f} ms{times_floor}", ok)


def _p95(times: list[float]) -> float:
    return sorted(times)[max(0, round(len(times) * 0.95) - 1)]


def measure(pages: Mapping[str, str]) -> dict[str, list[float]]:
    """The seconds of each page. The pages take turns, so that a busy moment of the machine slows all of them."""
    client = Client(SERVER_NAME="localhost")
    client.force_login(User.objects.filter(is_superuser=True).first() or _superuser())
    times: dict[str, list[float]] = {name: [] for name in pages}
    for turn in range(TIMES + 1):
        for name, address in pages.items():
            seconds = _seconds(client, name, address)
            if turn:
                times[name].append(seconds)
    return times


def _superuser() -> User:
    return User.objects.create_superuser("bench", "bench@northwind.example", "a long password of the benchmark")


def _seconds(client: Client, name: str, address: str) -> float:
    started = time.perf_counter()
    response = client.get(address, secure=True)
    if response.status_code != 200:
        raise RuntimeError(f"{name}: {address} answered {response.status_code}")
    return time.perf_counter() - started


def addresses() -> dict[str, str]:
    """The pages that are measured: the first, one in the middle and the last, filters, and searches."""
    return {**_pages(), **_subscriptions(), **_candidates(), **_history(), **_approvals(), **_audit()}


def _pages() -> dict[str, str]:
    rule = ReclaimRule.objects.get()
    return {
        "overview": reverse("admin:index"),
        "preview of a threshold": reverse("admin:subscriptions_reclaimrule_preview", args=[rule.pk])
        + "?last_activity_threshold=45",
        "download runs": _list("subscriptions_downloadrun"),
        "search everything, nothing typed": reverse("find"),
        "search everything, part of a name": f"{reverse('find')}?q=ester999",
        "search everything, a common first name": f"{reverse('find')}?q=ann",
    }


def _subscriptions() -> dict[str, str]:
    subscriptions = _list("subscriptions_subscription")
    first, *_others, last = DownloadRun.objects.order_by("pk").values_list("pk", flat=True)
    middle = _middle(Order(Subscription, "idle_since"))
    return {
        "subscriptions, first": subscriptions,
        "subscriptions, middle": f"{subscriptions}?p=after-{middle}",
        "subscriptions, last": f"{subscriptions}?p=last",
        "subscriptions, most recent first": f"{subscriptions}?o=-activity",
        "subscriptions, by name": f"{subscriptions}?o=person",
        "subscriptions, by name, last": f"{subscriptions}?o=person&p=last",
        "subscriptions, by department, last": f"{subscriptions}?o=department_shown&p=last",
        "subscriptions, a department": f"{subscriptions}?department=Department+7",
        "subscriptions, a department, last": f"{subscriptions}?department=Department+7&p=last",
        "subscriptions, a department by name": f"{subscriptions}?department=Department+7&o=person",
        "subscriptions, all columns": f"{subscriptions}?columns={','.join(c.name for c in SubscriptionAdmin.columns)}",
        "subscriptions, verdict": f"{subscriptions}?verdict=candidate",
        "subscriptions, verdict, last": f"{subscriptions}?verdict=candidate&p=last",
        "subscriptions, two verdicts": f"{subscriptions}?verdict=unknown,never_active",
        "subscriptions, a rare role": f"{subscriptions}?role=organization_internal_admin",
        "subscriptions, a rare license": f"{subscriptions}?license=standard",
        "subscriptions, a license": f"{subscriptions}?license=full&p=last",
        "subscriptions, a role": f"{subscriptions}?role=organization_external_user&p=last",
        "subscriptions, no seat": f"{subscriptions}?seat=free&p=last",
        "subscriptions, never active": f"{subscriptions}?idle=never&p=last",
        "subscriptions, idle for 60 to 89 days": f"{subscriptions}?idle=60&p=last",
        "subscriptions, new in a download, last": f"{subscriptions}?run=new-{first}&p=last",
        "subscriptions, changed by a download": f"{subscriptions}?run=changed-{last}",
        "subscriptions, changed by a download, last": f"{subscriptions}?run=changed-{last}&p=last",
        "subscriptions, gone since a download": f"{subscriptions}?run=gone-{last}",
        "subscriptions, part of an e-mail": f"{subscriptions}?q=son4711",
        "subscriptions, a whole address": f"{subscriptions}?q={_some_address()}",
        "subscriptions, part of a name": f"{subscriptions}?q=ester999",
        "subscriptions, part of many names": f"{subscriptions}?q=ester99",
        "subscriptions, a common first name": f"{subscriptions}?q=ann",
        "subscriptions, part of everybody's e-mail": f"{subscriptions}?q=northwind",
        "subscriptions, nobody": f"{subscriptions}?q=xyzxyz",
    }


def _candidates() -> dict[str, str]:
    candidates = _list("subscriptions_removalcandidate")
    return {
        "candidates, first": candidates,
        "candidates, last": f"{candidates}?p=last",
        "candidates, a license": f"{candidates}?license=full&p=last",
        "candidates, idle for 180 to 359 days": f"{candidates}?idle=180&p=last",
        "candidates, by name": f"{candidates}?o=person",
        "candidates, by name, last": f"{candidates}?o=person&p=last",
        "candidates, by department": f"{candidates}?o=department",
        "candidates, a department": f"{candidates}?department=Department+7",
        "candidates, a department, last": f"{candidates}?department=Department+7&p=last",
        "candidates, part of a name": f"{candidates}?q=ester999",
        "candidates, part of many names": f"{candidates}?q=ester99",
        "candidates, a common first name": f"{candidates}?q=ann",
        "candidates, closed, last": f"{candidates}?{CLOSED}&p=last",
        "candidates, closed, by name": f"{candidates}?{CLOSED}&o=person",
        "candidates, closed, by department": f"{candidates}?{CLOSED}&o=department",
    }


def _history() -> dict[str, str]:
    reclaims = _list("subscriptions_reclaim")
    return {
        "history, first": reclaims,
        "history, last": f"{reclaims}?p=last",
        "history, by name": f"{reclaims}?o=person",
        "history, a department, last": f"{reclaims}?department=Department+7&p=last",
        "history, in doubt": f"{reclaims}?state__exact=in_doubt&p=last",
        "history, part of a name": f"{reclaims}?q=ester999",
        "history, part of many names": f"{reclaims}?q=ester99",
        "history, a common first name": f"{reclaims}?q=ann",
    }


def _approvals() -> dict[str, str]:
    requests = _list("subscriptions_reclaimrequest")
    return {
        "approvals, first": requests,
        "approvals, approved, last": f"{requests}?state__exact=approved&p=last",
        "approvals, part of a name": f"{requests}?q=ester999",
        "approvals, a common first name": f"{requests}?q=ann",
    }


def _audit() -> dict[str, str]:
    audit = _list("audit_auditevent")
    old = f"{timezone.localtime() - timedelta(days=200):%Y-%m-%d}"
    newer = f"{timezone.localtime() - timedelta(days=199):%Y-%m-%d}"
    return {
        "audit, first": audit,
        "audit, middle": f"{audit}?p=after-{_middle(Order(AuditEvent, 'sequence', descending=True))}",
        "audit, last": f"{audit}?p=last",
        "audit, an action, last": f"{audit}?action=download.completed&p=last",
        "audit, a name": f"{audit}?q=Tester777",
        "audit, a day": f"{audit}?at_from_0={old}&at_from_1=00:00:00&at_to_0={newer}&at_to_1=00:00:00",
    }


def _list(name: str) -> str:
    return reverse(f"admin:{name}_changelist")


def _some_address() -> str:
    return str(Subscription.objects.order_by("-pk").values_list("email", flat=True)[0])


def _middle(order: Order) -> str:
    """The cursor after the row whose primary key is in the middle."""
    rows = order.model._default_manager.order_by("pk")
    first, last = rows.first(), rows.last()
    row = rows.filter(pk__gte=(first.pk + last.pk) // 2).first() if first and last else None
    return order.place_of(row).token()


def export(events: int) -> Row:
    """Export the whole audit log as CSV. The limit is one COPY of the same rows. The note has the memory it takes."""
    limit = _clocked(_copied)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    ours = _clocked(_exported)
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
    return Row(f"export of {events:,} audit events", limit, ours, ours / limit, f"memory +{grown:.0f} MB")


def _clocked(act: Callable[[], None]) -> float:
    started = time.perf_counter()
    act()
    return time.perf_counter() - started


def _copied() -> None:
    with connection.cursor() as cursor, cursor.copy("COPY audit_auditevent TO STDOUT (FORMAT csv)") as copy:
        for _ in copy:
            pass


def _exported() -> None:
    client = Client(SERVER_NAME="localhost")
    client.force_login(User.objects.filter(is_superuser=True).first() or _superuser())
    response: Any = client.get(reverse("admin:audit_auditevent_export"), secure=True)
    for _ in response.streaming_content:
        pass
