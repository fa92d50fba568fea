"""The file to which anchors are appended, one line of JSON each, and the one beside it for their time stamps."""

from __future__ import annotations

import fcntl
import json
import os
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from django.conf import settings
from django.utils.translation import gettext_noop

from licensehub.audit.anchors.anchor import Anchor
from licensehub.audit.outside import NotTaken

# A task waits so long for other processes of the host.
LOCK_SECONDS, LOCK_PAUSE = 10.0, 0.02


class LockHeld(NotTaken):
    """Another process of the host holds the lock of the file."""


@dataclass(slots=True)
class FileContent:
    """The anchors of a file in their order, and how many of its lines are no anchor."""

    anchors: list[Anchor] = field(default_factory=list)
    damaged: int = 0


class AnchorFile:
    """Append and read. A lock on the file orders the processes of a host; `wait`: so many seconds for it at most."""

    def __init__(self, path: Path | None = None, *, wait: float | None = None) -> None:
        self.path = path or Path(settings.ANCHOR_FILE)
        self._wait = LOCK_SECONDS if wait is None else wait

    def take(self, anchor: Anchor) -> None:
        """Append one anchor, and wait until the disk has it. Raises NotTaken, as LockHeld if it had to wait."""
        _append(self.path, anchor.text(), self._wait)

    def take_time_stamp(self, anchor: Anchor, token: str) -> None:
        """Append the time stamp of an anchor, a token in base64, to the file beside. Raises NotTaken."""
        line = json.dumps({"signature": anchor.signature, "time_stamp": token}, separators=(",", ":"))
        _append(self.path.with_suffix(".time-stamps.jsonl"), line, self._wait)

    def read(self) -> FileContent:
        """All anchors; a file that does not exist has none. Raises NotTaken."""
        content, where = FileContent(), gettext_noop("the file {name}").format(name=self.path.name)
        for line in self._lines():
            try:
                content.anchors.append(Anchor.from_text(line, where=where))
            except ValueError:
                content.damaged += 1
        return content

    def _lines(self) -> Iterator[str]:
        try:
            with self.path.open(encoding="utf-8", errors="replace") as lines:
                yield from (line for line in lines if line.strip())
        except FileNotFoundError:
            return
        except OSError as error:
            raise NotTaken(f"{self.path.name} cannot be read ({error.strerror}).") from error


def _lock(handle: int, path: Path, wait: float) -> None:
    ends_at = time.monotonic() + wait
    while True:
        try:
            return fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() >= ends_at:
                raise LockHeld(f"Another process holds the lock of {path.name}.") from None
            time.sleep(LOCK_PAUSE)


def _append(path: Path, line: str, wait: float) -> None:
    """Append a line, and wait until the disk has it. Raises NotTaken."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o600)
        try:
            _lock(handle, path, wait)
            size = os.fstat(handle).st_size
            # A process may have died in the middle of a line.
            torn = size and os.pread(handle, 1, size - 1) != b"\n"
            os.write(handle, f"{chr(10) if torn else ''}{line}\n".encode())
            os.fsync(handle)
        finally:
            os.close(handle)
    except OSError as error:
        raise NotTaken(f"{path.name} cannot be written ({error.strerror}).") from error
