"""Measure the targets of docs/performance.md: `python -m benchmarks [ROW ...] [--write]`.

Each row runs in its own process, on its own database: a throw-away PostgreSQL, or SQLite if the name says so. Every row
measures its limit in the same run, so that a slow or busy machine slows both.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import asdict
from datetime import UTC, datetime
from importlib import import_module
from pathlib import Path

import psycopg
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from benchmarks.environment import environment
from benchmarks.rows import Row
from tests.support.databases import postgres

# Name -> module in benchmarks/rows, function, database, description.
ROWS = {
    "download": ("download", "run", "postgresql", "100,000 members without latency, first and after 5 % churn, peers"),
    "pipeline": ("pipeline", "run", "postgresql", "100,000 members from the first request to the last candidate"),
    "pace": ("pace", "run", "postgresql", "at Miro's limit, and at 50 ms; takes three minutes"),
    "worker": ("worker", "run", "postgresql", "100,000 at the default share in a real worker; takes six minutes"),
    "million": ("worker", "million", "postgresql", "1,000,000 in a real worker, with a faster clock"),
    "organizations": (
        "organizations",
        "run",
        "postgresql",
        "21 organizations at once on four workers; six minutes",
    ),
    "browsing": (
        "web.browsing",
        "run",
        "postgresql",
        "50 admins while a download and a reclaim run; four minutes",
    ),
    "memory": ("memory", "run", "postgresql", "10,000, 100,000 and 1,000,000 members, above an idle shell"),
    "history": ("history", "run", "postgresql", "bytes per member-day, and days read back"),
    "past": ("past", "run", "postgresql", "how many of 100,000 would have come back, for any threshold"),
    "verdict": ("verdict", "run", "postgresql", "1,000,000 with 2,000 protections"),
    "verdict-sqlite": ("verdict", "run", "sqlite", "the same on SQLite"),
    "propose": ("decide", "propose", "postgresql", "150,000 of 1,000,000"),
    "approve": ("decide", "approve", "postgresql", "a request of 50,000"),
    "verify": ("audit", "run", "postgresql", "1,000,000 events of the audit"),
    "verify-sqlite": ("audit", "run", "sqlite", "the same on SQLite"),
    "growth": ("growth", "run", "postgresql", "steps and pages at 10,000, 100,000 and 1,000,000"),
    "lists": ("web.lists", "run", "postgresql", "pages, overview and audit at 1,000,000 rows"),
    "sign-in": ("web.sign_in", "run", "postgresql", "the sign-in page while 16 guessers make 10,000 tries"),
    "sign-in-sqlite": ("web.sign_in", "run", "sqlite", "the same on SQLite"),
}
# Settings of a small server: the defaults of PostgreSQL are for a smaller one.
SERVER = ("shared_buffers=512MB", "max_wal_size=4GB")
REPORT = Path(__file__).resolve().parent.parent / "docs" / "performance.md"
MEASURED = "## Measured\n"
HEADER = ("row", "limit", "ours", "ratio", "target", "ok", "note")


def main() -> int:
    """Returns 0 when every target is met."""
    options = _options()
    # A run that is terminated must stop its PostgreSQL, too.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    if options.here:
        return _measure_here(options.here)
    rows = list(_measured(options.rows or list(ROWS)))
    Console(width=None if sys.stdout.isatty() else 200).print(_table(rows))
    if options.write:
        _write(rows)
    return int(any(row.ok is False for row in rows))


def _options() -> argparse.Namespace:
    names = "\n".join(f"  {name:15} {description}" for name, (_, _, _, description) in ROWS.items())
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks", description=f"{__doc__}\n{names}", formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("rows", nargs="*", metavar="ROW", choices=[*ROWS, []], help="which to measure; default: all")
    parser.add_argument("--write", action="store_true", help="append the result to docs/performance.md")
    parser.add_argument("--here", help=argparse.SUPPRESS)
    return parser.parse_args()


def _measure_here(name: str) -> int:
    """Measure one row in this process, which was started for it. Writes the result as JSON on the last line."""
    module, function, _, _ = ROWS[name]
    import django

    django.setup()
    rows: list[Row] = getattr(import_module(f"benchmarks.rows.{module}"), function)()
    sys.stdout.write("\n" + json.dumps([asdict(row) for row in rows]) + "\n")
    return 0


def _measured(names: list[str]) -> Iterator[Row]:
    with postgres(*SERVER) as (url, _):
        for name in names:
            sys.stderr.write(f"{name} …\n")
            with tempfile.TemporaryDirectory(prefix="lhb") as folder:
                database = _fresh(url, name) if ROWS[name][2] == "postgresql" else ""
                yield from _in_a_process(name, environment(folder, database))


def _fresh(url: str, name: str) -> str:
    """Create an empty database on the server of `url`. Returns its address."""
    database = f"benchmark_{name}"
    with psycopg.connect(url, autocommit=True) as server:
        server.execute(f'DROP DATABASE IF EXISTS "{database}"')
        server.execute(f'CREATE DATABASE "{database}"')
    head, _, tail = url.partition("?")
    return f"{head.rsplit('/', 1)[0]}/{database}" + (f"?{tail}" if tail else "")


def _in_a_process(name: str, surroundings: dict[str, str]) -> list[Row]:
    command = [sys.executable, "-m", "benchmarks", "--here", name]
    done = subprocess.run(command, env=surroundings, stdout=subprocess.PIPE, text=True)  # noqa: S603 - our own command
    if done.returncode:
        return [Row(f"{name}: could not be measured, see above", 0, 0, 0, ok=False)]
    return [Row(**row) for row in json.loads(done.stdout.strip().splitlines()[-1])]


def _cells(row: Row) -> tuple[str, ...]:
    ok = {None: "", True: "yes", False: "NO"}[row.ok]
    limit, ours = (_amount(value, row.unit) if value else "–" for value in (row.limit_seconds, row.ours_seconds))
    if row.unit != "s" and not row.ours_seconds:
        ours = f"0 {row.unit}"
    return row.name, limit, ours, f"{row.ratio:.2f}" if row.ratio else "–", row.target, ok, row.note


def _amount(value: float, unit: str) -> str:
    return f"{value * 1000:.0f} ms" if unit == "s" and value < 1 else f"{value:,.2f} {unit}"


def _table(rows: list[Row]) -> Table:
    table = Table(*HEADER)
    for row in rows:
        table.add_row(*map(escape, _cells(row)), style="red" if row.ok is False else "")
    return table


def _write(rows: list[Row]) -> None:
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    machine = f"{os.cpu_count()} cores, {memory:.0f} GB, Python {platform.python_version()}"
    lines = [f"\n### {datetime.now(UTC):%Y-%m-%d %H:%M} UTC, {machine}, load {os.getloadavg()[0]:.1f}\n"]
    lines += [f"| {' | '.join(cells)} |" for cells in (HEADER, ["---"] * len(HEADER), *map(_cells, rows))]
    text = REPORT.read_text()
    if MEASURED not in text:
        text += f"\n{MEASURED}"
    REPORT.write_text(text.rstrip("\n") + "\n" + "\n".join(lines) + "\n")


if __name__ == "__main__":
    sys.exit(main())
