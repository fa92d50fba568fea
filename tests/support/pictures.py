"""Small pictures, made byte by byte."""

from __future__ import annotations

import base64
import zlib

# 8 x 8 pixels, as Chromium writes them, without the profile of its colors.
JPEG = (
    "/9j/4AAQSkZJRgABAQAAAQABAAD/2wBDAFA3PEY8MlBGQUZaVVBfeMiCeG5uePWvuZHI////////////////////////////////"
    "////////////////////2wBDAVVaWnhpeOuCguv/////////////////////////////////////////////////////////////"
    "////////////wAARCAAIAAgDASIAAhEBAxEB/8QAFQABAQAAAAAAAAAAAAAAAAAAAAP/xAAUEAEAAAAAAAAAAAAAAAAAAAAA/8QA"
    "FQEBAQAAAAAAAAAAAAAAAAAAAgP/xAAUEQEAAAAAAAAAAAAAAAAAAAAA/9oADAMBAAIRAxEAPwCYCwP/2Q=="
)


def chunk(kind: bytes, body: bytes) -> bytes:
    """One chunk of a PNG."""
    return len(body).to_bytes(4) + kind + body + zlib.crc32(kind + body).to_bytes(4)


def png(width: int, height: int, *, interlaced: bool = False, pixels: bytes | None = None) -> bytes:
    """A gray picture. `pixels` takes the place of the packed rows."""
    if pixels is None:
        rows = [bytes(1 + width)] * height
        if interlaced:
            steps = ((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2))
            sizes = [(len(range(x, width, right)), len(range(y, height, down))) for x, y, right, down in steps]
            rows = [bytes(1 + columns) for columns, lines in sizes for _ in range(lines) if columns]
        pixels = zlib.compress(b"".join(rows))
    head = width.to_bytes(4) + height.to_bytes(4) + bytes([8, 0, 0, 0, int(interlaced)])
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", pixels) + chunk(b"IEND", b"")


def jpeg() -> bytes:
    return base64.b64decode(JPEG)
