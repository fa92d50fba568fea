"""Files that people upload: each is read, or refused with a sentence, before it costs a web process seconds."""

from __future__ import annotations

import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from io import BytesIO

import pytest
from PIL import Image

from licensehub.configuration.reading import Wrong, read_file
from subscriptions.company.logo import MAX_SIDE, checked_logo
from subscriptions.errors import Refused
from subscriptions.rules.protection_lines import decode, read_lines
from tests.support.web.pictures import picture

# Seconds of one processor. Two of these files took 12 seconds and four minutes.
MAX_SECONDS = 3.0


@contextmanager
def costs_little() -> Iterator[None]:
    began = time.thread_time()
    yield
    assert time.thread_time() - began < MAX_SECONDS


# --- The logo ---------------------------------------------------------------------------------------------------------


def test_a_jpeg_of_many_scans_is_refused():
    """Control: without the limit, these 125 KB take 24 seconds, and the 1 MB that is allowed takes minutes."""
    written = BytesIO()
    Image.new("L", (MAX_SIDE, MAX_SIDE), 7).save(written, "JPEG", progressive=True, quality=50)
    honest = written.getvalue()
    with costs_little():
        checked_logo(honest)
    last = honest.rindex(b"\xff\xda")
    with costs_little(), pytest.raises(Refused, match="no PNG or JPEG"):
        checked_logo(honest[:last] + honest[last:-2] * 1000 + honest[-2:])


def test_a_damaged_note_about_a_picture_is_no_error_of_ours():
    """Control: with the errors of pictures alone, some of these kinds of a note are an error 500."""
    note = Image.Exif()
    note[0x0112], note[0x010E] = 6, "x" * 30
    honest = picture(64, 64, "JPEG", exif=note)
    with warnings.catch_warnings(action="ignore"):
        for place in range(20, 100):
            for value in range(0, 256, 2):
                with suppress(Refused):
                    checked_logo(honest[:place] + bytes([value]) + honest[place + 1 :])


# --- People to protect ------------------------------------------------------------------------------------------------

COSTLY = {
    "one short line again and again": "a\n" * 990_000,
    "blank lines": "\r" * 1_900_000,
    "many people": "\n".join(f"a{number}@x.example" for number in range(110_000)),
    "people in one line": ",".join(f"a{number}@x.example" for number in range(110_000)),
    "quotation marks": '"' * 1_900_000,
    "one long line": "x" * 1_900_000,
    "brackets": ("<@" * 499 + "\n") * 1900,
    "separators of Unicode": "\u2028" * 600_000,
    "names of many letters": "".join(f"a@{'ü' * 60}{number}.example\n" for number in range(12_000)),
}


@pytest.mark.parametrize("name", COSTLY)
def test_no_list_of_people_takes_long(name):
    """Control: without the limit of lines, the first one takes twelve seconds."""
    with costs_little(), suppress(Refused):
        read_lines(decode(COSTLY[name].encode()))


@pytest.mark.parametrize(
    "content",
    [b"\xff\xfea\x00\x00\xd8", b"\xfe\xff\x00", b"PK\x03\x04\x00", "a@x.example\0".encode("utf-16"), b"\x81\x8d"],
)
def test_another_encoding_is_refused(content):
    with pytest.raises(Refused):
        decode(content)


# --- The configuration ------------------------------------------------------------------------------------------------

BOMBS = {
    "laughs": b"a: &a [x, x]\nb: &b [*a, *a]\nc: [*b, *b]\n",
    "merge": b"a: &a {x: 1}\nb: {<<: *a}\n",
    "tag": b"a: !!python/object/apply:os.system [id]\n",
    "depth": b"[" * 100_000,
    "depth of lines": b"".join(b" " * one + b"a:\n" for one in range(1000)),
    "twice": b"a: 1\na: 2\n",
    "two documents": b"a: 1\n---\nb: 2\n",
    "huge": b"a: " + b"x" * 10_000_000,
    "UTF-16": "licensehub: 1".encode("utf-16"),
    "UTF-7": b"+/v8-a: 1",
    "NUL": b'a: "\\0"\n',
    "surrogate": b'a: "\\ud800"\n',
    "version": b"%YAML 99999999999999999999999999999999.1\n---\na: 1\n",
}


@pytest.mark.parametrize("name", BOMBS)
def test_a_configuration_that_is_a_trap_is_refused_with_its_place(tmp_path, name):
    file = tmp_path / "licensehub.yaml"
    file.write_bytes(BOMBS[name])
    with costs_little(), pytest.raises(Wrong):
        found = read_file(file)
        found.only("licensehub", "profiles")
