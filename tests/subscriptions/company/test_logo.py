"""A logo is a PNG or a JPEG, small, whole, and nothing else."""

from __future__ import annotations

import base64
import zlib

import pytest

from subscriptions.company.logo import MAX_BYTES, MAX_SIDE, checked_logo
from subscriptions.errors import Refused
from tests.support.pictures import chunk, jpeg, png

SCRIPT = b"<script>alert(1)</script>"


def test_only_what_shows_the_picture_is_kept():
    plain = png(8, 3)
    dirty = plain[:33] + chunk(b"tEXt", b"Comment\0" + SCRIPT) + plain[33:] + b"PK" + SCRIPT
    logo = checked_logo(dirty)
    assert (logo.content, logo.type, logo.width, logo.height) == (plain, "image/png", 8, 3)
    assert checked_logo(png(9, 5, interlaced=True)).width == 9

    photo = jpeg()
    size = (len(SCRIPT) + 2).to_bytes(2)
    dirty = photo[:2] + b"\xff\xe1" + size + SCRIPT + b"\xff\xfe" + size + SCRIPT + photo[2:] + SCRIPT
    logo = checked_logo(dirty)
    assert (logo.content, logo.type) == (photo, "image/jpeg")
    assert (logo.width, logo.height) == (8, 8)


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        (b"<svg xmlns='http://www.w3.org/2000/svg'>" + SCRIPT, "neither a PNG nor a JPEG"),
        (b"GIF89a", "neither a PNG nor a JPEG"),
        (b"", "neither a PNG nor a JPEG"),
        (png(8, 3) + bytes(MAX_BYTES), "more than 100 KB"),
        (png(MAX_SIDE + 1, 1), "has 1001 x 1 pixels. Use at most 1000"),
        (png(8, 3)[:-6], "damaged or not complete"),
        (png(8, 3)[:40], "damaged or not complete"),
        (png(8, 3).replace(b"IDAT", b"IDAX"), "damaged or not complete"),
        # It claims 8 x 3 pixels and unpacks to much more, or to less.
        (png(8, 3, pixels=zlib.compress(bytes(10_000_000))), "damaged or not complete"),
        (png(8, 3, pixels=zlib.compress(bytes(5))), "damaged or not complete"),
        (png(8, 3, pixels=b"no zlib"), "damaged or not complete"),
        (jpeg()[:-20], "damaged or not complete"),
        (jpeg()[:30], "damaged or not complete"),
        (b"\xff\xd8\xff\xd9", "damaged or not complete"),
        (b"\xff\xd8\xff\xe0\x00\x00", "damaged or not complete"),
    ],
)
def test_everything_else_is_refused_with_a_sentence(given, sentence):
    with pytest.raises(Refused) as refused:
        checked_logo(given)
    assert sentence in str(refused.value)


def test_the_pictures_of_these_tests_are_pictures():
    assert base64.b64encode(png(8, 3)).startswith(b"iVBORw0KGgo")
