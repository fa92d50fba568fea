"""A release is made of one tagged commit, and of nothing beside it."""

from __future__ import annotations

import hashlib
import subprocess
import tarfile
from pathlib import Path

import pytest

from supply_chain.release import ReleaseError, release

AUTHOR = ("-c", "user.name=A", "-c", "user.email=a@example.com")


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A repository with a commit that is ready to be tagged."""
    folder = tmp_path / "repository"
    folder.mkdir()
    git(folder, "init", "--quiet")
    (folder / "pyproject.toml").write_text('[project]\nversion = "1.2.0"\n')
    (folder / "CHANGELOG.md").write_text("# Changelog\n\n## 1.2.0 - 2026-11-29\n")
    commit(folder)
    return folder


def git(folder: Path, *words: str) -> None:
    subprocess.run(["git", "-C", str(folder), *AUTHOR, *words], check=True, capture_output=True)


def commit(folder: Path) -> None:
    git(folder, "add", "--all")
    git(folder, "commit", "--quiet", "--message", "Change")


def test_the_files_of_a_release(root: Path, tmp_path: Path) -> None:
    git(root, "tag", "1.2.0")
    code, bill, sums = release(tmp_path / "first", root=root, materials="{}\n")
    with tarfile.open(code) as archive:
        assert {"licensehub-1.2.0/pyproject.toml", "licensehub-1.2.0/CHANGELOG.md"} < set(archive.getnames())
    assert bill.read_text() == "{}\n"
    for line in sums.read_text().splitlines():
        digest, name = line.split()
        assert hashlib.sha256((code.parent / name).read_bytes()).hexdigest() == digest
    again = release(tmp_path / "second", root=root, materials="{}\n")
    assert [path.read_bytes() for path in again] == [path.read_bytes() for path in (code, bill, sums)]


def test_what_is_missing_is_named(root: Path, tmp_path: Path) -> None:
    def problem() -> str:
        with pytest.raises(ReleaseError) as error:
            release(tmp_path / "none", root=root, materials="")
        assert not (tmp_path / "none").exists()
        return str(error.value)

    assert "no tag 1.2.0" in problem()
    git(root, "tag", "1.2.0")
    (root / "more.txt").write_text("more")
    assert "not committed" in problem()
    commit(root)
    assert "no tag 1.2.0" in problem()
    (root / "CHANGELOG.md").write_text("# Changelog\n\n## Unreleased\n")
    commit(root)
    git(root, "tag", "--force", "1.2.0")
    assert "no chapter" in problem()
