"""The files of a release: the code of one commit, its bill of materials, and the SHA-256 of both."""

from __future__ import annotations

import gzip
import hashlib
import subprocess
import tomllib
from pathlib import Path


class ReleaseError(Exception):
    """The message says what is missing for a release."""


def release(folder: Path, *, root: Path, materials: str) -> list[Path]:
    """Write `licensehub-VERSION.tar.gz`, `licensehub-VERSION.cdx.json` and SHA256SUMS for the repository at `root`.

    The same commit gives the same bytes. Raises ReleaseError unless the commit has the tag of its version, a chapter in
    CHANGELOG.md, and no changes beside it.
    """
    version = tomllib.loads((root / "pyproject.toml").read_text())["project"]["version"]
    if _git(root, "status", "--porcelain"):
        raise ReleaseError("There are changes that are not committed. Commit or stash them.")
    if version not in _git(root, "tag", "--points-at", "HEAD").decode().split():
        raise ReleaseError(f"The commit has no tag {version}: git tag --sign {version}")
    if f"\n## {version} - " not in (root / "CHANGELOG.md").read_text():
        raise ReleaseError(f"CHANGELOG.md has no chapter “{version}”: rename “Unreleased”, with the day.")
    folder.mkdir(parents=True, exist_ok=True)
    name = f"licensehub-{version}"
    code, bill, sums = folder / f"{name}.tar.gz", folder / f"{name}.cdx.json", folder / "SHA256SUMS"
    code.write_bytes(gzip.compress(_git(root, "archive", f"--prefix={name}/", "HEAD"), mtime=0))
    bill.write_text(materials)
    digests = [(hashlib.sha256(path.read_bytes()).hexdigest(), path.name) for path in (code, bill)]
    sums.write_text("".join(f"{digest}  {name}\n" for digest, name in digests))
    return [code, bill, sums]


def _git(root: Path, *words: str) -> bytes:
    return subprocess.run(["git", "-C", str(root), *words], capture_output=True, check=True).stdout  # noqa: S603, S607 - our own words
