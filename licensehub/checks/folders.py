"""The system check of the folder for sockets, locks and figures of the processes."""

from __future__ import annotations

import os
import stat
from typing import Any

from django.conf import settings
from django.core.checks import CheckMessage, register

from licensehub.checks.configuration import error


@register
def check_runtime_dir(**_: Any) -> list[CheckMessage]:
    """It lies in /tmp, where another user can make it first: their files would then be our socket and our locks."""
    try:
        found = settings.RUNTIME_DIR.lstat()
    except FileNotFoundError:
        return []
    except OSError:
        found = None
    ours = found is not None and stat.S_ISDIR(found.st_mode) and found.st_uid == os.getuid()
    if ours and found is not None and not stat.S_IMODE(found.st_mode) & 0o077:
        return []
    hint = "Remove it, or make it yours with mode 700, or set TMPDIR to a folder of your own; then start again."
    return [error("E077", f"Others can write or read {settings.RUNTIME_DIR}, or it belongs to somebody else.", hint)]
