"""`licensehub` in this process, calling the API without a network; and as a real process."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from licensehub.api.client import Client
from licensehub.command_line import calls
from licensehub.command_line.main import main
from licensehub.embedded import install
from tests.licensehub.api.test_client import over_django
from tests.support.people.api import Program


@dataclass
class Ran:
    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


@pytest.fixture
def cli(monkeypatch, capsys) -> Callable[..., Ran]:
    """Run one command as this program. Its output is that of a real process."""

    def run(sent: Program, *words: str) -> Ran:
        client = Client("http://testserver", sent.text, send=over_django)
        monkeypatch.setattr(calls, "client_for", lambda url, token_file: client)
        capsys.readouterr()
        code = main(list(words))
        shown = capsys.readouterr()
        return Ran(int(code), shown.out, shown.err)

    return run


@pytest.fixture
def entry(monkeypatch, tmp_path) -> Path:
    """The console script, as `make install` writes it."""
    monkeypatch.setattr(install, "ENTRY", tmp_path / "licensehub")
    monkeypatch.setattr(install, "PYTHON", Path(sys.executable))
    install.write_entry()
    return install.ENTRY


@pytest.fixture
def process(entry, tmp_path) -> Callable[..., Ran]:
    """Run the script in a folder of its own, with no variables but those given."""

    def run(*words: str, stdin: str | None = None, **variables: str) -> Ran:
        environment = {"PATH": os.environ["PATH"], "HOME": str(tmp_path), "LANG": "C.UTF-8", **variables}
        given: dict[str, Any] = {"stdin": subprocess.DEVNULL} if stdin is None else {"input": stdin}
        done = subprocess.run(
            [str(entry), *words], env=environment, cwd=tmp_path, capture_output=True, text=True, timeout=60, **given
        )
        return Ran(done.returncode, done.stdout, done.stderr)

    return run
