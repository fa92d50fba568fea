"""Finds a Chromium: on the machine, else from Debian's packages as root, else from the npm registry.

The headless shell is the same browser without windows of its own, and takes a third of its CPU.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

PROJECT = Path(__file__).resolve().parents[3]
PACKAGE = "@sparticuz/chromium"
VERSION = "147.0.0"
NAMES = ("chromium-headless-shell", "chromium", "chromium-browser", "google-chrome", "chrome")
UNPACK = "import('@sparticuz/chromium').then(m => m.default.executablePath()).then(p => process.stdout.write(p))"

# Nothing that a test browser does may go to the network by itself.
FLAGS = [
    "--disable-gpu",
    "--in-process-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


def flags() -> list[str]:
    """Chromium's sandbox refuses to run as root."""
    return [*FLAGS, "--no-sandbox"] if os.getuid() == 0 else FLAGS


def find_or_install() -> Path:
    """The program; without any, CI fails and a person's run skips loudly."""
    found = on_machine() or from_apt() or from_npm(PROJECT / "var" / "browser")
    if found:
        return found
    sentence = (
        "No Chromium for the browser tests: set CHROMIUM=/path/to/chromium, or install one (apt install chromium)."
    )
    if os.environ.get("CI"):
        pytest.fail(sentence)
    sys.__stderr__.write(f"\n!!! SKIPPED: {sentence}\n") if sys.__stderr__ else None
    pytest.skip(sentence)


def on_machine() -> Path | None:
    """CHROMIUM comes first; a wrong one is an error, not a reason to take another."""
    given = os.environ.get("CHROMIUM", "")
    if given and not os.access(given, os.X_OK):
        pytest.fail(f"CHROMIUM={given} is no program.")
    paths = (given, *(shutil.which(name) for name in NAMES))
    return next((Path(path) for path in paths if path), None)


def from_apt() -> Path | None:
    """Debian's package; only as root."""
    if os.getuid() != 0 or not shutil.which("apt-get"):
        return None
    run(["apt-get", "-qq", "update"])
    for package in ("chromium-headless-shell", "chromium"):
        run(["apt-get", "-qq", "-y", "--no-install-recommends", "install", package])
        if found := on_machine():
            return found
    return None


def from_npm(folder: Path) -> Path | None:
    """The package carries the program, compressed; its own API unpacks it."""
    if not (shutil.which("npm") and shutil.which("node")):
        return None
    folder.mkdir(parents=True, exist_ok=True)
    if not (folder / "node_modules" / PACKAGE).exists():
        run(
            [
                "npm",
                "install",
                "--no-audit",
                "--no-fund",
                "--ignore-scripts",
                "--prefix",
                str(folder),
                f"{PACKAGE}@{VERSION}",
            ],
            folder,
        )
    # It unpacks into TMPDIR.
    unpacked = run(["node", "--input-type=module", "--eval", UNPACK], folder, TMPDIR=str(folder))
    path = Path(unpacked.strip())
    return path if unpacked and os.access(path, os.X_OK) else None


def run(command: list[str], folder: Path | None = None, **variables: str) -> str:
    """Return what it wrote, or nothing if it failed: then the next way is tried, and its words are shown."""
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive", **variables}
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=600)
    if done.returncode:
        sys.stderr.write(f"{command[0]} failed:\n{done.stdout}{done.stderr}\n")
        return ""
    return done.stdout
