"""The command of manage.py that this process runs, and the account of the operating system that started it.

Each event of such a command names them, since whoever is at the terminal has not signed in to LicenseHub.
"""

from __future__ import annotations

import os
import pwd
import sys
from functools import cache
from pathlib import Path

LOGIN_ID = Path("/proc/self/loginuid")
NO_LOGIN = 2**32 - 1


@cache
def origin() -> dict[str, str]:
    """{"command", "operator"} in a command of manage.py; empty in every other process, e.g. of the web or a worker."""
    program, *arguments = sys.argv
    if Path(program).name != "manage.py" or not arguments:
        return {}
    return {"command": arguments[0], "operator": operator()}


def operator() -> str:
    """The account of this process, and the one that signed in to the host: "licensehub (signed in as ada)".

    The kernel keeps who signed in, through sudo and su (https://man7.org/linux/man-pages/man5/proc_pid_loginuid.5.html).
    Without that, e.g. in a container, the account of sudo is named: root can set it to any name.
    """
    account = _name(os.getuid())
    signed_in = _signed_in()
    return account if signed_in in ("", account) else f"{account} (signed in as {signed_in})"


def _signed_in() -> str:
    try:
        number = int(LOGIN_ID.read_text())
    except (OSError, ValueError):
        number = NO_LOGIN
    return os.environ.get("SUDO_USER", "")[:60] if number == NO_LOGIN else _name(number)


def _name(number: int) -> str:
    try:
        return pwd.getpwuid(number).pw_name
    except KeyError:
        return str(number)
