"""The secrets of an installation, as `deploy/make_secrets.py` makes them."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from tests.deploy.support.units import DEPLOY


def make(folder: Path, *arguments: str) -> str:
    command = [sys.executable, "-I", str(DEPLOY / "make_secrets.py"), str(folder), *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def text_of(folder: Path) -> dict[str, str]:
    return {str(path.relative_to(folder)): path.read_text() for path in folder.rglob("*") if path.is_file()}


def test_only_the_owner_of_the_files_can_read_them_and_nothing_changes_later(tmp_path: Path) -> None:
    folder = tmp_path / "secrets"
    make(folder, "--database", "db:5432")
    before = text_of(folder)
    assert "@db:5432/licensehub" in before["beat/DATABASE_URL"]
    assert not [path for path in (folder, *folder.rglob("*")) if path.stat().st_mode & 0o077]
    assert make(folder) == "All secrets exist already.\n"
    assert text_of(folder) == before


def test_a_user_that_an_update_brings_gets_the_address_of_the_others(tmp_path: Path) -> None:
    """`grep licensehub_beat`, as in docs/deploy.md, finds the statements that the database does not know yet."""
    make(tmp_path, "--database", "db:5432")
    web = tmp_path / "web" / "DATABASE_URL"
    web.write_text(f"{web.read_text().strip()}?sslmode=verify-full\n")
    statements = tmp_path / "postgresql.sql"
    of_others = [line for line in statements.read_text().splitlines() if "licensehub_beat" not in line]
    (tmp_path / "beat" / "DATABASE_URL").unlink()
    statements.write_text("".join(f"{line}\n" for line in of_others))
    before = text_of(tmp_path)

    make(tmp_path)
    after = text_of(tmp_path)
    password = after["beat/DATABASE_URL"].removeprefix("postgres://licensehub_beat:").partition("@")[0]
    assert (
        after["beat/DATABASE_URL"] == f"postgres://licensehub_beat:{password}@db:5432/licensehub?sslmode=verify-full\n"
    )
    assert after["postgresql.sql"].splitlines() == [
        *of_others,
        f"CREATE ROLE licensehub_beat LOGIN PASSWORD '{password}';",
        "GRANT CONNECT ON DATABASE licensehub TO licensehub_beat;",
    ]
    assert {name for name in after if after[name] != before.get(name)} == {"beat/DATABASE_URL", "postgresql.sql"}
    # After the first start, a host has no statements any more.
    statements.unlink()
    (tmp_path / "beat" / "DATABASE_URL").unlink()
    make(tmp_path)
    assert all("licensehub_beat" in line for line in statements.read_text().splitlines())
