"""Verify a million events: digests, hashes and signatures, and the text of each."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from django.db import connection, transaction

from benchmarks import environment
from benchmarks.rows import Row, at_most

if TYPE_CHECKING:
    from licensehub.audit.chain.offline_verifier import Report

EVENTS = 1_000_000
BATCH = 100_000
CHUNK = 2000
SECONDS = 60.0


def run(events: int = EVENTS) -> list[Row]:
    environment.prepare()
    _fill(events)
    from licensehub.audit.chain.verify import verify

    limit, _ = environment.timed(_read)
    found: list[Report] = []
    seconds, _ = environment.timed(lambda: found.append(verify()))
    if found[0].findings or found[0].events != events:
        raise RuntimeError(f"{found[0].events} events were verified: {found[0].findings[:3]}")
    where = "PostgreSQL" if connection.vendor == "postgresql" else "SQLite"
    note = "limit: every row read, and its details parsed"
    return [at_most(f"verify {events:,} events, {where}", seconds, most=SECONDS, limit=limit, note=note)]


def _fill(events: int) -> None:
    from licensehub.audit.actions import Action
    from licensehub.audit.log import Row as Event
    from licensehub.audit.log import record_rows

    for start in range(0, events, BATCH):
        rows = [
            Event("subscriptions.removalcandidate", n, f"person{n}@x.example", {"why": f"Inactive {n % 400} days."})
            for n in range(start, min(start + BATCH, events))
        ]
        with transaction.atomic():
            record_rows(Action.CANDIDATE_PROPOSED, actor=None, rows=rows)


def _read() -> None:
    with connection.chunked_cursor() as cursor:
        cursor.execute("SELECT *, CAST(data AS text) FROM audit_auditevent ORDER BY sequence")
        while rows := cursor.fetchmany(CHUNK):
            for row in rows:
                json.loads(row[-1])
