"""A process that dies at the n-th commit or call: n = 1, 2, 3, ... until nothing dies any more, as in SQLite's tests.

No hook stands in the code that is tested: what is watched are Django's transactions and the vendor in memory.
A rollback is what the database would do with an open transaction of a process that is gone.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest
from django.conf import settings
from django.db import connection, transaction

from licensehub.audit.transactions import open_transactions
from tests.chaos.support.fake_connector import Vendor

WRITES = ("INSERT", "UPDATE", "DELETE")


class Crash(BaseException):
    """The process is gone. No `except Exception` sees it."""


@dataclass
class CrashPoint:
    """Dies at the `at`-th boundary; each commit and each call has two, one before it and one after it."""

    at: int
    passed: int = 0
    where: str = ""
    dead: bool = field(default=False)

    def reach(self, name: str) -> None:
        if self.dead:
            return
        self.passed += 1
        if self.passed == self.at:
            self.dead, self.where = True, name
            raise Crash(name)


def outer() -> int:
    """The test's own transactions."""
    return int(getattr(settings, "TRANSACTIONS_OF_TESTS", 0))


@contextmanager
def crashing(point: CrashPoint, vendor: Vendor) -> Iterator[None]:
    """Inside, the process dies at the point."""
    vendor.boundary = lambda name, after: point.reach(f"{'after' if after else 'before'} {name}")
    leave = transaction.Atomic.__exit__

    def leave_or_die(self: Any, kind: Any, error: Any, trace: Any) -> None:
        if kind is not None or open_transactions() != outer() + 1:
            leave(self, kind, error, trace)
            return
        try:
            point.reach("before a commit")
        except Crash as crash:
            leave(self, Crash, crash, None)  # rolls back, as the database does
            raise
        leave(self, kind, error, trace)
        point.reach("after a commit")

    def execute_or_die(execute: Any, sql: str, params: Any, many: Any, context: Any) -> Any:
        """A write outside of a transaction is its own commit."""
        alone = open_transactions() == outer() and sql.lstrip().upper().startswith(WRITES)
        if alone:
            point.reach(f"before {sql[:60]}")
        result = execute(sql, params, many, context)
        if alone:
            point.reach(f"after {sql[:60]}")
        return result

    with pytest.MonkeyPatch.context() as patch, connection.execute_wrapper(execute_or_die):
        patch.setattr(transaction.Atomic, "__exit__", leave_or_die)
        try:
            yield
        finally:
            vendor.boundary = lambda name, after: None


@contextmanager
def undone(vendor_holder: Any) -> Iterator[None]:
    """One case: whatever happens to the database inside is undone, and the vendor is as before."""
    kept = vendor_holder.vendor
    vendor_holder.vendor = kept.copy()
    before = settings.TRANSACTIONS_OF_TESTS
    try:
        with transaction.atomic():
            settings.TRANSACTIONS_OF_TESTS = open_transactions()
            yield
            transaction.set_rollback(True)
    finally:
        settings.TRANSACTIONS_OF_TESTS = before
        vendor_holder.vendor = kept
