"""The state file: SQLite with one JSON document per row, written through on each change.

It does not call fsync on purpose: written data must survive a killed process, but not a crash of the machine.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from integrations.connectors.miro.sandbox.messages import SandboxError

TABLES = ("meta", "members", "teams", "transitions", "requests", "events")


class Store:
    """Documents by table and key. It has no lock: its only user, the world, holds one."""

    def __init__(self, path: Path | None) -> None:
        self.path = path
        try:
            self._db = self._open(path)
        except (sqlite3.Error, OSError) as error:
            raise SandboxError(f"The state file {path} cannot be used: {error}.") from error

    @staticmethod
    def _open(path: Path | None) -> sqlite3.Connection:
        if path is not None:
            path.parent.mkdir(parents=True, exist_ok=True)
        db = sqlite3.connect(path or ":memory:", check_same_thread=False, isolation_level=None, timeout=1)
        try:
            db.execute("PRAGMA locking_mode = EXCLUSIVE")  # a second sandbox on the same file is refused
            db.execute("PRAGMA journal_mode = WAL")
            db.execute("PRAGMA synchronous = OFF")
            for table in TABLES:
                db.execute(f"CREATE TABLE IF NOT EXISTS {table} (key TEXT PRIMARY KEY, doc TEXT NOT NULL)")
            db.execute("BEGIN IMMEDIATE")
            db.execute("COMMIT")
        except sqlite3.Error:
            db.close()
            raise
        return db

    @contextmanager
    def transaction(self) -> Iterator[None]:
        self._db.execute("BEGIN")
        try:
            yield
        except BaseException:
            self._db.execute("ROLLBACK")
            raise
        self._db.execute("COMMIT")

    def put(self, table: str, key: str | int, doc: Any) -> None:
        self.put_many(table, [(key, doc)])

    def put_many(self, table: str, rows: Iterable[tuple[str | int, Any]]) -> None:
        documents = [(str(key), json.dumps(doc)) for key, doc in rows]
        insert = f"INSERT INTO {_known(table)} VALUES (?, ?)"  # noqa: S608 - the table is one of TABLES
        # Not REPLACE: that would move the row to the end of the order that `all` returns.
        self._db.executemany(f"{insert} ON CONFLICT (key) DO UPDATE SET doc = excluded.doc", documents)

    def delete(self, table: str, key: str) -> None:
        self._db.execute(f"DELETE FROM {_known(table)} WHERE key = ?", (key,))  # noqa: S608 - the table is one of TABLES

    def all(self, table: str) -> dict[str, Any]:
        rows = self._db.execute(f"SELECT key, doc FROM {_known(table)} ORDER BY rowid")  # noqa: S608 - the table is one of TABLES
        return {key: json.loads(doc) for key, doc in rows}

    def close(self) -> None:
        self._db.close()


def _known(table: str) -> str:
    if table not in TABLES:
        raise ValueError(table)
    return table
