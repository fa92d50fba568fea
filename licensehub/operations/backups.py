"""Backups and drills of the database, as whoever made them says. LicenseHub makes no backup itself.

Each is an event of the audit, so a restored database does not know of a backup that is newer than itself.
"""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any, Final

from django.db import transaction

from licensehub.audit.actions import Action
from licensehub.audit.log import Row, record_rows
from licensehub.audit.models import ChainHead

MAX_AGE: Final = 24 * 60 * 60  # seconds


class NoBackup(Exception):
    """Its text is one sentence for whoever runs the command. Nothing was recorded."""


def record_backup(path: Path) -> int:
    """Record that this file is a backup that was made now. Returns its size in bytes. Raises NoBackup.

    An empty file, or one of another day, is no backup of today.
    """
    try:
        found = path.stat()
    except OSError as error:
        raise NoBackup(f"The file {path} cannot be read: {os.strerror(error.errno or 0)}.") from error
    if not path.is_file() or not found.st_size:
        raise NoBackup(f"{path} is empty, or no file. Look at the output of the backup.")
    if time.time() - found.st_mtime > MAX_AGE:
        raise NoBackup(f"{path} is older than a day. Make the backup first, and record it then.")
    _record(Action.BACKUP_RECORDED, bytes=found.st_size)
    return found.st_size


def record_drill(result: str) -> None:
    """Record that a backup was restored elsewhere and checked. `result` is a sentence. Raises NoBackup."""
    if not result.strip():
        raise NoBackup("Say what was checked, and whether it was right.")
    _record(Action.DRILL_RECORDED, result=result.strip())


def _record(action: Action, **data: Any) -> None:
    with transaction.atomic():
        record_rows(action, actor=None, rows=[Row(ChainHead._meta.label_lower, 1, "The database", data)])
