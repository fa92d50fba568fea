"""Small pictures."""

from __future__ import annotations

from io import BytesIO
from typing import Any

from PIL import Image


def picture(width: int, height: int, format: str = "PNG", mode: str = "RGB", **options: Any) -> bytes:
    """A red picture; `options` are Pillow's."""
    written = BytesIO()
    Image.new(mode, (width, height), "red").save(written, format, **options)
    return written.getvalue()


def png(width: int, height: int) -> bytes:
    return picture(width, height)
