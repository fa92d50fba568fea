"""Refuses vendor calls while a transaction is open: its locks would be held until the vendor answers."""

from __future__ import annotations

from django.conf import settings

from integrations.connectors.http import set_call_guard
from licensehub.audit.transactions import open_transactions


class CallInTransaction(RuntimeError):
    """A vendor call was about to be made inside a database transaction."""


def refuse_inside_transaction() -> None:
    """The guard that `http` calls before each request."""
    if open_transactions() > getattr(settings, "TRANSACTIONS_OF_TESTS", 0):
        raise CallInTransaction("A vendor call must be made outside of database transactions")


def register_guard() -> None:
    set_call_guard(refuse_inside_transaction)
