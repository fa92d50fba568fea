"""A logo is a complete PNG or JPEG of limited size, and is stored as a small PNG without anything else."""

from __future__ import annotations

from io import BytesIO

import pytest
from PIL import Image, PngImagePlugin

from subscriptions.company.logo import MAX_BYTES, MAX_SIDE, STORED_SIDE, checked_logo
from subscriptions.errors import Refused
from tests.support.web.pictures import picture, png

SCRIPT = b"<script>alert(1)</script>"
NOTE = PngImagePlugin.PngInfo()
NOTE.add_text("Comment", SCRIPT.decode())


@pytest.mark.parametrize(
    "given",
    [
        picture(8, 3, pnginfo=NOTE) + b"PK" + SCRIPT,
        picture(8, 3, "JPEG", comment=SCRIPT) + SCRIPT,
        picture(3, 8, "JPEG", exif=b"Exif\0\0II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0\x06\0\0\0\0\0\0\0"),
    ],
    ids=["comment of a PNG", "comment of a JPEG", "turned by a note"],
)
def test_only_what_shows_the_picture_is_stored(given):
    logo = checked_logo(given)
    assert (logo.width, logo.height) == (8, 3) and b"script" not in logo.content and b"Exif" not in logo.content
    with Image.open(BytesIO(logo.content)) as stored:
        assert (stored.format, stored.size, stored.info) == ("PNG", (8, 3), {})
        red, green, blue, opaque = stored.getpixel((4, 1))
    assert red > 250 and green < 5 and blue < 5 and opaque == 255


def test_a_large_picture_is_made_smaller():
    logo = checked_logo(png(MAX_SIDE, 1_000))
    assert (logo.width, logo.height) == (STORED_SIDE, STORED_SIDE // 4)


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        (b"<svg xmlns='http://www.w3.org/2000/svg'>" + SCRIPT, "no PNG or JPEG"),
        (picture(8, 3, "GIF"), "no PNG or JPEG"),
        (b"", "no PNG or JPEG"),
        (png(8, 3) + bytes(MAX_BYTES), "more than 1000 KB"),
        (png(MAX_SIDE + 1, 1), "has 4001 x 1 pixels. Use at most 4000"),
        (png(8, 3)[:40], "no PNG or JPEG"),
        (png(80, 30).replace(b"IDAT", b"IDAX"), "no PNG or JPEG"),
        (picture(80, 30, "JPEG")[:-60], "no PNG or JPEG"),
    ],
)
def test_everything_else_is_refused_with_a_sentence(given, sentence):
    with pytest.raises(Refused) as refused:
        checked_logo(given)
    assert sentence in str(refused.value)


def test_too_many_pixels_are_refused_before_they_are_unpacked():
    with pytest.raises(Refused, match="too many pixels"):
        checked_logo(picture(14_000, 14_000, mode="1"))
