"""Tells whether a transaction is open, on any path that must not run inside of one, or must."""

from __future__ import annotations

from django.db import connection


def open_transactions() -> int:
    """Return how many transactions and savepoints are open on this thread's connection.

    A test's own outer transactions do not count; `TRANSACTIONS_OF_TESTS` says how many there are.
    """
    return len(connection.savepoint_ids) + int(connection.in_atomic_block)
