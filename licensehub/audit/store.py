"""Write any number of events into their table with one statement."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

from django.db import connection

from licensehub.audit.models import AuditEvent


class SharedColumns(NamedTuple):
    """The values that all events of one action share, by column."""

    at: datetime
    action: str
    actor_id: int | None
    actor_name: str
    correlation: UUID


# The columns that differ from event to event.
EVENT_COLUMNS = (
    "sequence",
    "target_type",
    "target_id",
    "target_label",
    "data",
    "salt",
    "text_digest",
    "previous_hash",
    "hash",
    "hmac",
)
COLUMNS = (*EVENT_COLUMNS, *SharedColumns._fields)
INTO = f"{AuditEvent._meta.db_table} ({', '.join(COLUMNS)})"


def store(events: Iterable[tuple[Any, ...]], common: SharedColumns) -> None:
    """Write the events; each has the values of EVENT_COLUMNS, its data as the text of a JSON object."""
    # The shared values are converted once.
    same = [_adapted(value) for value in common]
    rows = ((*event, *same) for event in events)
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            with connection.wrap_database_errors, cursor.copy(f"COPY {INTO} FROM STDIN") as copy:
                for row in rows:
                    copy.write_row(row)
            return
        places = ", ".join(["%s"] * len(COLUMNS))
        cursor.executemany(f"INSERT INTO {INTO} VALUES ({places})", list(rows))  # noqa: S608 - constants


def _adapted(value: Any) -> Any:
    """The value as text for COPY. SQLite has no types for moments and UUIDs, and gets the text that Django writes."""
    if connection.vendor == "postgresql":
        return str(value) if isinstance(value, datetime | UUID) else value
    if isinstance(value, datetime):
        return connection.ops.adapt_datetimefield_value(value)
    return value.hex if isinstance(value, UUID) else value
