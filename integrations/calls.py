"""No vendor call while a transaction is open: it would hold locks for as long as a stranger likes."""

from __future__ import annotations

from django.conf import settings
from django.db import connection

from integrations.connectors.http import set_call_guard


class CallInTransaction(RuntimeError):
    """A vendor call was about to be made inside a database transaction."""


def open_transactions() -> int:
    """How many transactions and savepoints are open on this thread's connection."""
    return len(connection.savepoint_ids) + int(connection.in_atomic_block)


def refuse_inside_transaction() -> None:
    """A test's own outer transactions do not count; `TRANSACTIONS_OF_TESTS` says how many there are."""
    if open_transactions() > getattr(settings, "TRANSACTIONS_OF_TESTS", 0):
        raise CallInTransaction("A vendor call must stand outside of database transactions")


def register_guard() -> None:
    set_call_guard(refuse_inside_transaction)
