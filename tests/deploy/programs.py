"""Finds a server program: on the machine, else from Debian's packages as root."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

import pytest

from tests.support.chromium import run

# A person's PATH often lacks the folders of the servers.
PLACES = f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin"


def find_or_install(program: str, package: str) -> Path:
    """The program; without it, CI fails and a person's run skips loudly."""
    found = shutil.which(program, path=PLACES)
    if not found and os.getuid() == 0 and shutil.which("apt-get"):
        run(["apt-get", "-qq", "update"])
        run(["apt-get", "-qq", "-y", "--no-install-recommends", "install", package])
        found = shutil.which(program, path=PLACES)
    if found:
        return Path(found)
    sentence = f"No {program} for the test of the host path: install one (apt install {package})."
    if os.environ.get("CI"):
        pytest.fail(sentence)
    sys.__stderr__.write(f"\n!!! SKIPPED: {sentence}\n") if sys.__stderr__ else None
    pytest.skip(sentence)
