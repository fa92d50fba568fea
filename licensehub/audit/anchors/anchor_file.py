"""The file to which anchors are appended: one line of JSON each, and one for each time stamp. No line is changed."""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from django.conf import settings

from licensehub.audit.anchors.anchor import Anchor
from licensehub.audit.outside import NotTaken


@dataclass(slots=True)
class FileContent:
    """The anchors of a file in their order, and how many of its lines are neither an anchor nor a time stamp."""

    anchors: list[Anchor] = field(default_factory=list)
    damaged: int = 0


class AnchorFile:
    """Append and read. A lock on the file orders the processes of a host."""

    def __init__(self, path: Path | None = None) -> None:
        self.path = path or Path(settings.ANCHOR_FILE)

    def take(self, anchor: Anchor) -> None:
        """Append one anchor, and wait until the disk has it. Raises NotTaken."""
        self._append(anchor.text())

    def take_time_stamp(self, anchor: Anchor, token: str) -> None:
        """Append the time stamp of an anchor, a token in base64. Raises NotTaken."""
        self._append(json.dumps({"signature": anchor.signature, "time_stamp": token}, separators=(",", ":")))

    def _append(self, line: str) -> None:
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            handle = os.open(self.path, os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o600)
            try:
                fcntl.flock(handle, fcntl.LOCK_EX)
                size = os.fstat(handle).st_size
                # A process may have died in the middle of a line.
                torn = size and os.pread(handle, 1, size - 1) != b"\n"
                os.write(handle, f"{chr(10) if torn else ''}{line}\n".encode())
                os.fsync(handle)
            finally:
                os.close(handle)
        except OSError as error:
            raise NotTaken(f"{self.path.name} cannot be written ({error.strerror}).") from error

    def read(self) -> FileContent:
        """All anchors; a file that does not exist has none. Raises NotTaken."""
        content = FileContent()
        for line in self._lines():
            try:
                content.anchors.append(Anchor.from_text(line, where=f"the file {self.path.name}"))
            except ValueError:
                content.damaged += not _is_time_stamp(line)
        return content

    def _lines(self) -> Iterator[str]:
        try:
            with self.path.open(encoding="utf-8", errors="replace") as lines:
                yield from (line for line in lines if line.strip())
        except FileNotFoundError:
            return
        except OSError as error:
            raise NotTaken(f"{self.path.name} cannot be read ({error.strerror}).") from error


def _is_time_stamp(line: str) -> bool:
    try:
        return set(json.loads(line)) == {"signature", "time_stamp"}
    except (ValueError, TypeError):
        return False
