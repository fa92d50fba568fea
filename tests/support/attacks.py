"""Changes by somebody who can write to the database: statements past LicenseHub, in the SQL of both databases."""

from __future__ import annotations

from typing import Any

from django.db import connection

from subscriptions.models import RequestedRemoval


def attack(statement: str, *values: Any) -> int:
    """Run one statement as a person with a database client would. Returns how many rows it changed."""
    with connection.cursor() as cursor:
        cursor.execute(statement, list(values))
        return int(cursor.rowcount)


def insert_person(request: int, like: RequestedRemoval, candidate: int) -> None:
    """A row for one more person in this request, with evidence that is copied from another one."""
    columns = [str(field.column) for field in RequestedRemoval._meta.concrete_fields if field.name != "id"]
    chosen = {"request_id": "%s", "candidate_id": "%s"}
    values = ", ".join(chosen.get(column, column) for column in columns)
    attack(
        f"INSERT INTO subscriptions_requestedremoval ({', '.join(columns)})"  # noqa: S608 - names of our own columns
        f" SELECT {values} FROM subscriptions_requestedremoval WHERE id = %s",
        request,
        candidate,
        like.pk,
    )
