"""Each picture that the tour names exists, is a small file, and has the size of the window."""

from __future__ import annotations

import re

from tests.tour.pictures import indexed
from tests.tour.text import PAGE, PICTURES, ROOT, STOPS, tour

MAX_PICTURES, MAX_BYTES = 12, 1_500_000


def test_the_page_is_what_make_tour_writes_and_each_picture_exists():
    assert PAGE.read_text() == tour(), "run `make tour`"
    named = re.findall(r"\(images/tour/([\w-]+\.png)\)", PAGE.read_text())
    assert named == [stop.path.name for stop in STOPS] and 0 < len(named) <= MAX_PICTURES
    assert sorted(named) == sorted(path.name for path in PICTURES.iterdir())
    for stop in STOPS:
        head = stop.path.read_bytes()[:26]
        assert head.startswith(b"\x89PNG") and head[25] == 3, f"{stop.path.name} has no palette"
        assert int.from_bytes(head[16:20]) in (390, 1440)
    assert sum(stop.path.stat().st_size for stop in STOPS) < MAX_BYTES


def test_the_readme_shows_three_of_them():
    shown = re.findall(r"\(docs/images/tour/([\w-]+\.png)\)", (ROOT / "README.md").read_text())
    assert len(shown) == 3 and {stop.path.name for stop in STOPS} > set(shown)


def test_a_picture_has_the_colors_and_pixels_that_it_was_made_of():
    made = indexed(2, 1, [0x3557D6, 0xFFFFFF], b"\1\0")
    assert made.startswith(b"\x89PNG") and b"PLTE\x35\x57\xd6\xff\xff\xff" in made
