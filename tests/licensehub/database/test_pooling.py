"""A pool that gives each transaction another session is found, and refused with a sentence."""

from __future__ import annotations

from contextlib import closing, contextmanager

import pytest
from django.db import ProgrammingError, connection
from django.db.backends.base.base import BaseDatabaseWrapper

from licensehub import celery
from licensehub.broker import kind
from licensehub.checks import database as checks
from licensehub.database import pooling
from licensehub.operations.doctor.findings import run_checks
from tests.support.database.pgbouncer import PROGRAM, pgbouncer

on_postgresql = pytest.mark.skipif(connection.vendor != "postgresql", reason="SQLite has no sessions")


class Pool:
    """A pool with so many sessions. A connection gets the next free one for each transaction."""

    vendor = "postgresql"

    def __init__(self, sessions: int, *, keeps: bool) -> None:
        self.free, self.keeps = list(range(sessions)), keeps

    def copy(self) -> Connection:
        return Connection(self)


class Connection:
    def __init__(self, pool: Pool) -> None:
        self.pool, self.autocommit = pool, True
        self.session: int | None = None

    def set_autocommit(self, value: bool) -> None:
        self.autocommit = value

    def rollback(self) -> None:
        self._end()

    def close(self) -> None:
        self.pool.keeps = False
        self._end()

    def _end(self) -> None:
        if self.session is not None and not self.pool.keeps:
            self.pool.free.append(self.session)
            self.session = None

    @contextmanager
    def cursor(self):
        yield self

    def execute(self, statement: str) -> None:
        if self.session is None:
            self.session = self.pool.free.pop(0)

    def fetchone(self) -> tuple[int]:
        session = self.session
        if self.autocommit:
            self._end()
        return (session,)


@pytest.mark.parametrize(("sessions", "keeps"), [(2, False), (3, False), (4, False), (2, True), (5, True)])
def test_each_way_to_hand_on_a_session_is_found(sessions, keeps):
    assert pooling.is_pooled(Pool(sessions, keeps=keeps)) is not keeps


@on_postgresql
def test_postgresql_itself_keeps_its_sessions(db):
    assert not pooling.is_pooled(connection)
    assert checks.check_pool(databases=["default"]) == []
    assert run_checks(["pool"])["pool"].level == "ok"


@on_postgresql
@pytest.mark.skipif(PROGRAM is None, reason="PgBouncer is not on this machine")
@pytest.mark.parametrize(("mode", "pooled"), [("transaction", True), ("session", False)])
def test_a_real_pgbouncer(db, mode, pooled):
    with pgbouncer(mode) as through:
        assert pooling.is_pooled(through) is pooled
        if pooled:
            with pytest.raises(ProgrammingError, match=r"cursor .* does not exist"):
                read_by_cursor(through)
        else:
            assert read_by_cursor(through) == 5


def read_by_cursor(through: BaseDatabaseWrapper) -> int:
    """Read as `QuerySet.iterator` does outside of a transaction, while somebody else uses the pool."""
    with closing(through.copy()) as other, through.cursor() as cursor:
        cursor.execute("DECLARE rows_of_list CURSOR WITH HOLD FOR SELECT generate_series(1, 5)")
        other.set_autocommit(False)
        with other.cursor() as kept:
            kept.execute("SELECT 1")
        cursor.execute("FETCH FORWARD 10 FROM rows_of_list")
        return len(cursor.fetchall())


def test_the_sentence_is_said_by_check_doctor_and_worker(db, monkeypatch):
    monkeypatch.setattr(pooling, "is_pooled", lambda database: True)
    (found,) = checks.check_pool(databases=["default"])
    assert (found.id, found.msg) == ("licensehub.E078", pooling.POOLED)
    finding = run_checks(["pool"])["pool"]
    assert (finding.level, finding.detail, finding.steps[0].text) == ("act", pooling.POOLED, pooling.HINT)
    monkeypatch.setattr(kind, "problem", lambda: "")
    with pytest.raises(SystemExit, match=r"does not start: .* pool .* pool_mode=session"):
        celery.refuse_wrong_servers()
    assert checks.check_pool(databases=None) == []
