"""The benchmark's own parts: what it measures it measures only by hand, see docs/performance.md."""

from __future__ import annotations

from importlib import import_module

import pytest
import requests

from benchmarks import __main__ as benchmarks
from benchmarks import environment, limit
from benchmarks.rows import against, at_most


@pytest.mark.parametrize("name", benchmarks.ROWS)
def test_every_row_can_be_called(name):
    module, function, database, told = benchmarks.ROWS[name]
    assert callable(getattr(import_module(f"benchmarks.rows.{module}"), function))
    assert database in ("postgresql", "sqlite")
    assert told


def test_a_target_is_met_or_missed():
    assert against("a", 2.0, 3.0, most=1.5).ok is True
    assert against("a", 2.0, 3.1, most=1.5).ok is False
    assert at_most("a", 0, most=0, unit="answers").ok is True
    assert at_most("a", 4.1, most=4, unit="bytes").ok is False


def test_the_table_is_appended_with_date_and_machine(tmp_path, monkeypatch):
    report = tmp_path / "performance.md"
    report.write_text("# Performance\n\n## Measured\n\nolder\n")
    monkeypatch.setattr(benchmarks, "REPORT", report)

    benchmarks._write(
        [against("download", 2.0, 3.0, most=1.5, note="a note"), at_most("429", 0, most=0, unit="answers")]
    )

    text = report.read_text()
    assert "older" in text
    assert "| download | 2.00 s | 3.00 s | 1.50 | <= 1.5x | yes | a note |" in text
    assert "| 429 | – | 0 answers | – | <= 0 answers | yes |  |" in text
    assert "cores" in text.splitlines()[6]


def test_the_limit_reads_every_page(allow_http, monkeypatch):
    asked: list[bytes] = []
    body = limit._body

    def counted(wire):
        asked.append(body(wire))
        return asked[-1]

    monkeypatch.setattr(limit, "_body", counted)
    with environment.served(250) as url:
        allow_http(url)
        assert [len(page) for page in limit.pages(url)] == [100, 100, 50]
        limit.bare(url)
        assert len(asked) == 3
        requests.get(f"{url}/generation/2", timeout=30)
        assert sum(len(page) for page in limit.pages(url)) == 250


def test_a_database_of_its_own_beside_the_given_one(monkeypatch):
    done: list[str] = []

    class Server:
        def __enter__(self):
            return self

        def __exit__(self, *_):
            return None

        def execute(self, statement):
            done.append(statement)

    monkeypatch.setattr(benchmarks.psycopg, "connect", lambda *args, **kwargs: Server())
    made = benchmarks._fresh("postgres://licensehub@/licensehub?host=/tmp/x", "pace")
    assert made == "postgres://licensehub@/benchmark_pace?host=/tmp/x"
    assert done[-1] == 'CREATE DATABASE "benchmark_pace"'
