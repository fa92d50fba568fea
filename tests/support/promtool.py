"""Finds promtool: on the machine, else from Debian's package `prometheus` as root."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

import pytest

from tests.support.web.chromium import run


def find_or_install() -> Path:
    """The program; without it the run skips loudly: another test reads the rules. No service is started by it."""
    found = shutil.which("promtool") or from_apt()
    if found:
        return Path(found)
    sentence = "No promtool to test the alert rules: install it (apt install prometheus)."
    sys.__stderr__.write(f"\n!!! SKIPPED: {sentence}\n") if sys.__stderr__ else None
    pytest.skip(sentence)


def from_apt() -> str | None:
    """Only the program is taken out of the package: nothing is installed, so nothing starts."""
    if os.getuid() != 0 or not (shutil.which("apt-get") and shutil.which("dpkg-deb")):
        return None
    folder = Path("/var/tmp/licensehub-promtool")  # noqa: S108 - root's own, below
    folder.mkdir(mode=0o700, exist_ok=True)
    program = folder / "usr/bin/promtool"
    if not program.exists():
        run(["apt-get", "-qq", "update"])
        run(["sh", "-c", f"cd {folder} && apt-get -qq download prometheus && dpkg-deb -x prometheus_*.deb ."])
    return str(program) if os.access(program, os.X_OK) else None
