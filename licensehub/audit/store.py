"""How events get into their table: in one statement, however many they are."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db import connection

from licensehub.audit.models import AuditEvent

COLUMNS = (
    "sequence",
    "at",
    "action",
    "actor_id",
    "actor_name",
    "target_type",
    "target_id",
    "target_label",
    "data",
    "correlation",
    "previous_hash",
    "hmac",
)
INTO = f"{AuditEvent._meta.db_table} ({', '.join(COLUMNS)})"


def store(events: Iterable[tuple[Any, ...]]) -> None:
    """Each in the order of COLUMNS, with its details as JSON values."""
    if connection.vendor == "postgresql":
        copying = f"COPY {INTO} FROM STDIN"
        with connection.cursor() as cursor, connection.wrap_database_errors, cursor.copy(copying) as copy:
            for event in _texts(events):
                copy.write_row(event)
    else:
        places = ", ".join(["%s"] * len(COLUMNS))
        rows = [tuple(_for_sqlite(value) for value in event) for event in _texts(events)]
        with connection.cursor() as cursor:
            cursor.executemany(f"INSERT INTO {INTO} VALUES ({places})", rows)  # noqa: S608 - constants


def _texts(events: Iterable[tuple[Any, ...]]) -> Iterator[tuple[Any, ...]]:
    """With the details as the text that both databases take for JSON."""
    at = COLUMNS.index("data")
    for event in events:
        yield (*event[:at], json.dumps(event[at]), *event[at + 1 :])


def _for_sqlite(value: Any) -> Any:
    if isinstance(value, datetime):
        return connection.ops.adapt_datetimefield_value(value)
    return value.hex if isinstance(value, UUID) else value
