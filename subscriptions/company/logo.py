"""Check the picture that a user uploads as the logo, and keep only what shows it.

PNG and JPEG. What a file may have besides the picture (comments, places, whatever follows its end) is left out. An SVG
is refused, since it may contain scripts. https://www.w3.org/TR/png-3/, https://www.w3.org/Graphics/JPEG/itu-t81.pdf
"""

from __future__ import annotations

import hashlib
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from django.utils.translation import gettext as _

from subscriptions.errors import Refused

MAX_BYTES: Final = 100_000
# Of each side, in pixels.
MAX_SIDE: Final = 1_000
PNG, JPEG = "image/png", "image/jpeg"
PNG_START, JPEG_START = b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff"
KEPT_CHUNKS = (b"IHDR", b"PLTE", b"tRNS", b"IDAT", b"IEND")
# Color type of a PNG -> samples of a pixel, and the allowed bits of a sample.
SAMPLES: Final = {0: (1, (1, 2, 4, 8, 16)), 2: (3, (8, 16)), 3: (1, (1, 2, 4, 8)), 4: (2, (8, 16)), 6: (4, (8, 16))}
# The passes of an interlaced PNG: first column and row, and the steps.
PASSES: Final = ((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2))
# JPEG: start of frame (baseline, extended, progressive), start of scan, end, and what decides about the colors.
FRAMES, SCAN, END, JFIF, ADOBE = (0xC0, 0xC1, 0xC2), 0xDA, 0xD9, 0xE0, 0xEE


@dataclass(frozen=True, slots=True)
class Logo:
    content: bytes
    type: str
    width: int
    height: int

    @property
    def digest(self) -> str:
        return hashlib.sha256(self.content).hexdigest()


class _Broken(Exception):
    """The file is not what its first bytes say."""


def checked_logo(given: bytes) -> Logo:
    """The picture in this file. Raises Refused."""
    if len(given) > MAX_BYTES:
        raise Refused(_("The logo has more than {limit} KB. Save it smaller.").format(limit=MAX_BYTES // 1000))
    read = _png if given.startswith(PNG_START) else _jpeg if given.startswith(JPEG_START) else None
    if read is None:
        raise Refused(_("This is neither a PNG nor a JPEG. Save the logo as PNG, and choose that file."))
    try:
        logo = read(given)
    except (_Broken, IndexError, zlib.error) as error:
        raise Refused(_("This picture is damaged or not complete. Save it again as PNG.")) from error
    return logo


def _check_sides(width: int, height: int) -> None:
    if not width or not height:
        raise _Broken
    if max(width, height) > MAX_SIDE:
        sizes = {"width": width, "height": height, "limit": MAX_SIDE}
        raise Refused(_("The logo has {width} x {height} pixels. Use at most {limit} on each side.").format(**sizes))


def _png(given: bytes) -> Logo:
    kept, pixels, head = [PNG_START], bytearray(), b""
    for kind, body, whole in _chunks(given):
        head = head or body
        if kind == b"IDAT":
            pixels += body
        if kind in KEPT_CHUNKS:
            kept.append(whole)
    if len(head) != 13 or not kept[1].startswith(b"\0\0\0\x0dIHDR"):
        raise _Broken
    width, height = int.from_bytes(head[:4]), int.from_bytes(head[4:8])
    _check_sides(width, height)
    expected = _unpacked_size(width, height, *head[8:])
    # One byte more would already be too much.
    unpacked = zlib.decompressobj()
    if len(unpacked.decompress(bytes(pixels), expected + 1)) != expected or not unpacked.eof:
        raise _Broken
    return Logo(b"".join(kept), PNG, width, height)


def _chunks(given: bytes) -> Iterator[tuple[bytes, bytes, bytes]]:
    """Kind, body and all bytes of each chunk, up to the end of the picture."""
    at, kind = len(PNG_START), b""
    while kind != b"IEND":
        size, kind = int.from_bytes(given[at : at + 4]), given[at + 4 : at + 8]
        end = at + 12 + size
        if end > len(given) or zlib.crc32(given[at + 4 : end - 4]) != int.from_bytes(given[end - 4 : end]):
            raise _Broken
        if kind[:1].isupper() and kind not in KEPT_CHUNKS:
            raise _Broken
        yield kind, given[at + 8 : end - 4], given[at:end]
        at = end


def _unpacked_size(width: int, height: int, bits: int, color: int, packing: int, filters: int, interlaced: int) -> int:
    """The number of bytes of the pixels: each row begins with the number of its filter."""
    samples, allowed = SAMPLES.get(color, (0, ()))
    if bits not in allowed or packing or filters or interlaced > 1:
        raise _Broken
    sizes = [(width, height)]
    if interlaced:
        sizes = [(-(-(width - x) // right), -(-(height - y) // down)) for x, y, right, down in PASSES]
    return sum(rows * (1 + -(-columns * samples * bits // 8)) for columns, rows in sizes if columns > 0 and rows > 0)


def _jpeg(given: bytes) -> Logo:
    kept, at, width, height = [given[:2]], 2, 0, 0
    while True:
        if given[at] != 0xFF:
            raise _Broken
        marker = given[at + 1]
        if marker == END:
            break
        size = int.from_bytes(given[at + 2 : at + 4])
        end = at + 2 + size
        if size < 2 or end > len(given):
            raise _Broken
        if marker in FRAMES:
            height, width = int.from_bytes(given[at + 5 : at + 7]), int.from_bytes(given[at + 7 : at + 9])
            _check_sides(width, height)
        if marker == SCAN:
            end = _end_of_scan(given, end)
        if not 0xE0 <= marker <= 0xFE or marker in (JFIF, ADOBE):
            kept.append(given[at:end])
        at = end
    if not width or len(kept) < 3:
        raise _Broken
    return Logo(b"".join(kept) + b"\xff\xd9", JPEG, width, height)


def _end_of_scan(given: bytes, at: int) -> int:
    """Where the next marker begins. In the data of a scan, 0xFF is followed by 0 or by a restart marker."""
    while True:
        at = given.find(b"\xff", at)
        if at < 0:
            raise _Broken
        if given[at + 1] and not 0xD0 <= given[at + 1] <= 0xD7:
            return at
        at += 2
