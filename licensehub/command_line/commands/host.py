"""The commands that act on the host of LicenseHub, with its settings: they are those of manage.py."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path
from typing import Final

import click

ROOT: Final = Path(__file__).resolve().parents[3]
# Name -> what it does. Their own `--help` says more.
COMMANDS: Final = {
    "apply": "Bring LicenseHub to what a file of configuration says; --plan only shows what differs.",
    "doctor": "Check the whole installation, and say what to do next.",
    "dump": "Write the configuration as a file, without secrets.",
}


def host_command(name: str, text: str) -> click.Command:
    """A command that hands all its arguments to `manage.py NAME`."""

    @click.command(name, help=f"{text} (On the host, as `manage.py {name}`.)", add_help_option=False)
    @click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
    def run(arguments: tuple[str, ...]) -> None:
        command = [*_manage(), name, *arguments]
        sys.stdout.flush()
        os.execv(command[0], command)  # noqa: S606 - no shell

    run.context_settings = {"ignore_unknown_options": True}
    return run


def _manage() -> list[str]:
    """Return how manage.py is called here.

    Root on a host that follows docs/deploy.md calls the script that has the secrets. The script changes the user, so
    root never runs the code of LicenseHub.
    """
    script = shutil.which("licensehub-manage")
    if script and os.geteuid() == 0:
        return [script]
    return [sys.executable, str(ROOT / "manage.py")]


def commands() -> list[click.Command]:
    return [host_command(name, text) for name, text in COMMANDS.items()]
