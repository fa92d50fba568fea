"""The version of the running code, and a mark of its source files. A process keeps those of its start."""

from __future__ import annotations

import hashlib
import tomllib
from functools import cache
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parent.parent
PACKAGES: Final = ("licensehub", "integrations", "subscriptions")


@cache
def version() -> str:
    """The version of pyproject.toml, and the first hexadecimal digits of a SHA-256 over all modules: 0.1.0+1f2e3d4c.

    An update that forgets to count the version up is noticed, too, and so is a file that somebody has changed.
    """
    digest = hashlib.sha256()
    for package in PACKAGES:
        for path in sorted((ROOT / package).rglob("*.py")):
            digest.update(str(path.relative_to(ROOT)).encode() + b"\0" + path.read_bytes() + b"\0")
    number = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    return f"{number}+{digest.hexdigest()[:8]}"


def number_of(text: str) -> str:
    """The part before the mark."""
    return text.partition("+")[0]
