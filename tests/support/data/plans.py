"""Count the rows that statements read while PostgreSQL's statistics are wrong.

A plan that becomes quadratic reads the same rows again for each row. So the rows that a statement reads are counted and
compared with the number of rows in the tables. `auto_explain` counts all statements of this connection. The counters of
the tables also count foreign keys that are checked row by row.
"""

from __future__ import annotations

import contextlib
import copy
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from traceback import walk_stack
from typing import Any

import pytest
from django.conf import settings
from django.db import DatabaseError, OperationalError, connection, transaction

# The sizes that PostgreSQL believes, as columns of pg_class. `reltuples` is right before.
WRONG_STATISTICS = {
    # The same as after a load that was rolled back, and cleaned by autovacuum.
    "empty": "reltuples = 0",
    "a thousand times smaller": "reltuples = reltuples / 1000",
    "a thousand times larger": "reltuples = reltuples * 1000",
}
# Our tables and their indexes.
OURS = """
SELECT c.oid FROM pg_class AS c LEFT JOIN pg_index AS i ON i.indexrelid = c.oid
 WHERE c.relkind IN ('r', 'i')
   AND COALESCE(i.indrelid, c.oid) IN (SELECT oid FROM pg_class WHERE relname ~ %s AND relkind = 'r')
"""
SET_STATISTICS = """
UPDATE pg_class SET {believed}, relpages = GREATEST(1, pg_relation_size(oid) / 8192)
 WHERE oid IN ({ours}) AND reltuples >= 0
"""
FORGET = "DELETE FROM pg_statistic WHERE starelid IN ({ours})"
COUNTERS = "SELECT COALESCE(SUM(seq_tup_read + COALESCE(idx_tup_fetch, 0)), 0) FROM pg_stat_xact_user_tables"
SETTINGS = {
    "auto_explain.log_min_duration": "0",
    "auto_explain.log_analyze": "on",
    "auto_explain.log_timing": "off",
    "auto_explain.log_format": "json",
    "auto_explain.log_level": "notice",
    "client_min_messages": "notice",
    # Enough for a linear plan, also on a busy machine.
    "statement_timeout": "20s",
}
REMOVED = ("Rows Removed by Filter", "Rows Removed by Join Filter", "Rows Removed by Index Recheck")


@dataclass(frozen=True, slots=True)
class Case:
    """An operation of the application on many rows. `prepare` makes the rows, and returns the argument of `act`."""

    name: str
    act: Callable[[Any], object]
    prepare: Callable[[], Any] = lambda: None


@dataclass(slots=True)
class Reading:
    """The rows that a case has read. `problem` is the error that ended it."""

    rows: int = 0
    from_tables: int = 0
    most: int = 0
    worst: str = ""
    problem: str = ""
    # Our functions that were running while a statement ran: `candidates/propose.py:_open`.
    functions: set[str] = field(default_factory=set)

    def add(self, found: dict[str, Any]) -> None:
        rows = rows_read(found["Plan"])
        self.rows += rows
        if rows > self.most:
            self.most, self.worst = rows, f"{found['Query Text'][:1500]}\n{outline(found['Plan'])}"

    def times(self, members: int) -> float:
        """The average number of times that it has read each member."""
        return max(self.rows, self.from_tables) / members

    def report(self, members: int) -> str:
        return self.problem or f"each row was read {self.times(members):,.0f} times, most of all by {self.worst}"


def rows_read(node: dict[str, Any]) -> int:
    """The rows that all nodes of a plan have touched, counted each time.

    The entries of a bitmap do not count: most are of rows that an earlier case wrote and rolled back.
    """
    if node["Node Type"] == "Bitmap Index Scan":
        return 0
    touched = node["Actual Rows"] + sum(node.get(name, 0) for name in REMOVED)
    below = sum(map(rows_read, node.get("Plans", ())))
    return int(max(touched, 1) * node["Actual Loops"]) + below


def outline(node: dict[str, Any], depth: int = 0) -> str:
    removed = sum(node.get(name, 0) for name in REMOVED)
    table = node.get("Relation Name", node.get("CTE Name", ""))
    rows = f"{node['Actual Rows']}+{removed} rows, {node['Actual Loops']} times"
    return "\n".join(
        [
            f"{'  ' * depth}{node['Node Type']} {table}: {rows}",
            *(outline(below, depth + 1) for below in node.get("Plans", ())),
        ]
    )


def need_wrong_statistics() -> None:
    """Skip the test if the user of the database may not change the statistics of PostgreSQL."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT rolsuper FROM pg_roles WHERE rolname = current_user")
        if cursor.fetchone() != (True,):
            pytest.skip("this user may not change the statistics of PostgreSQL")
        cursor.execute("SELECT COUNT(*) FROM pg_available_extensions WHERE name = 'pg_trgm'")
    try:
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute("LOAD 'auto_explain'")
    except DatabaseError:
        pytest.skip("this PostgreSQL has no auto_explain")


def set_statistics(believed: str, tables: str) -> None:
    """Set wrong sizes for the tables whose names match. Empty tables have no statistics of their values either."""
    with connection.cursor() as cursor:
        cursor.execute(SET_STATISTICS.format(believed=WRONG_STATISTICS[believed], ours=OURS), [tables])
        if believed == "empty":
            cursor.execute(FORGET.format(ours=OURS), [tables])


def analyze(tables: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT relname FROM pg_class WHERE relname ~ %s AND relkind = 'r'", [tables])
        for (name,) in cursor.fetchall():
            cursor.execute(f"ANALYZE {name}")


@contextlib.contextmanager
def _watch(reading: Reading) -> Iterator[None]:
    """Count the rows that this connection reads in the `with` block."""

    def heard(notice: Any) -> None:
        _, plan, text = notice.message_primary.partition("plan:\n")
        if plan:
            reading.add(json.loads(text))

    with connection.cursor() as cursor:
        for name, value in SETTINGS.items():
            cursor.execute("SELECT set_config(%s, %s, true)", [name, value])
        cursor.execute(COUNTERS)
        before = cursor.fetchone()[0]
    connection.connection.add_notice_handler(heard)
    try:
        yield
    finally:
        connection.connection.remove_notice_handler(heard)
    with connection.cursor() as cursor:
        cursor.execute(COUNTERS)
        reading.from_tables = int(cursor.fetchone()[0] - before)


# A key of WRONG_STATISTICS, and a pattern of table names.
Belief = tuple[str, str]


def readings(cases: list[Case], beliefs: list[Belief]) -> Iterator[tuple[Case, Belief, Reading]]:
    """Run each case with each of these wrong statistics. Its changes are rolled back.

    Rows are prepared once for all cases that need the same ones.
    """
    by_rows: dict[Callable[[], Any], list[Case]] = {}
    for case in cases:
        by_rows.setdefault(case.prepare, []).append(case)
    for prepare, same in by_rows.items():
        with _undone():
            given = prepare()
            analyze("^(subscriptions|audit)_")
            for believed, tables in beliefs:
                with _undone():
                    set_statistics(believed, tables)
                    for case in same:
                        with _undone():
                            yield case, (believed, tables), _read_by(case, copy.copy(given))


def _read_by(case: Case, given: Any) -> Reading:
    reading = Reading()
    last: list[Any] = []
    chosen: dict[str, str] = {}

    def note(execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
        if "SAVEPOINT" not in sql:
            if sql.startswith("SELECT set_config"):
                chosen.update(zip(params[::2], params[1::2], strict=True))
            last[:] = [sql, params]
            reading.functions |= _our_functions()
        return execute(sql, params, many, context)

    try:
        with transaction.atomic(), connection.execute_wrapper(note), _watch(reading):
            case.act(given)
    except OperationalError as error:
        reading.problem = f"{error}: {last[0][:1500]}\n{_plan_of(last[0], last[1], chosen)}"
    return reading


def _our_functions() -> set[str]:
    """The functions of ours that are running now, by the frames of the stack."""
    frames = (frame.f_code for frame, _ in walk_stack(None))
    paths = ((code.co_filename.partition(f"{settings.BASE_DIR}/subscriptions/")[2], code.co_name) for code in frames)
    return {f"{path}:{name}" for path, name in paths if path}


def _plan_of(sql: str, params: Any, settings: dict[str, str]) -> str:
    """The plan of a statement that was planned by these settings."""
    with transaction.atomic(), connection.cursor() as cursor:
        for setting in settings.items():
            cursor.execute("SELECT set_config(%s, %s, true)", setting)
        cursor.execute(f"EXPLAIN {sql}", params)
        return "\n".join(row[0] for row in cursor.fetchall())


@contextlib.contextmanager
def _undone() -> Iterator[None]:
    with transaction.atomic():
        yield
        transaction.set_rollback(True)
