"""A zip file with the same bytes for the same contents, written piece by piece, with a manifest of its files."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Mapping
from types import TracebackType
from typing import IO, Any, Self
from zipfile import ZIP_DEFLATED, ZipFile, ZipInfo

# A zip has no earlier time. The time at which the pack is made must not change its bytes.
NO_TIME = (1980, 1, 1, 0, 0, 0)
READABLE = 0o644 << 16
UNIX = 3
MANIFEST, SIGNATURE = "manifest.json", "manifest.sig"
CHUNK = 64 * 1024
json_text = json.JSONEncoder(sort_keys=True, indent=2, ensure_ascii=False).encode


class Archive:
    """Use it in a `with` block: the end of the block writes the manifest. `about` stands in the manifest.

    `sign` returns the text of a signature of the manifest, or nothing.
    """

    def __init__(
        self, file: IO[bytes], about: Mapping[str, Any], *, sign: Callable[[bytes], str] = lambda manifest: ""
    ) -> None:
        self._zip = ZipFile(file, "w", compression=ZIP_DEFLATED)
        self._sign = sign
        self._about = dict(about)
        self.files: dict[str, dict[str, Any]] = {}
        # The digest of the manifest, and so of the whole pack; empty before the end of the block.
        self.manifest_digest = ""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._zip:
            if kind is None:
                manifest = f"{json_text({**self._about, 'files': self.files})}\n".encode()
                self.manifest_digest = hashlib.sha256(manifest).hexdigest()
                self._write(MANIFEST, [manifest])
                if signature := self._sign(manifest):
                    self._write(SIGNATURE, [signature])

    def add(self, name: str, pieces: Iterable[str | bytes]) -> None:
        """Write one file. Only one piece is in memory at a time."""
        if name in self.files or name in (MANIFEST, SIGNATURE):
            raise ValueError(f"{name} is in the archive already")
        self.files[name] = self._write(name, pieces)

    def _write(self, name: str, pieces: Iterable[str | bytes]) -> dict[str, Any]:
        info = ZipInfo(name, NO_TIME)
        info.compress_type, info.external_attr, info.create_system = ZIP_DEFLATED, READABLE, UNIX
        digest, size = hashlib.sha256(), 0
        with self._zip.open(info, "w") as member:
            for piece in pieces:
                data = piece.encode() if isinstance(piece, str) else piece
                member.write(data)
                digest.update(data)
                size += len(data)
        return {"sha256": digest.hexdigest(), "bytes": size}


def pieces_of(file: IO[bytes]) -> Iterable[bytes]:
    """The contents of an open file, from its begin."""
    file.seek(0)
    while piece := file.read(CHUNK):
        yield piece
