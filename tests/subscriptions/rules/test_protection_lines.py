"""Pasted lines and CSV files: the values that are read, and the sentence for each line that cannot be read."""

from __future__ import annotations

import time

import pytest
from django.utils import timezone

from subscriptions.errors import Refused
from subscriptions.rules.protection_lines import MAX_BYTES, MAX_LINES, decode, read_lines


def keys(text: str) -> list[str]:
    return [line.key for line in read_lines(text).lines]


READ = [
    ("pat@a.example\n\n  \n3074457345\n", ["pat@a.example", "3074457345"]),
    ("\ufeffPat@A.example\r\nsam@a.example", ["pat@a.example", "sam@a.example"]),
    ("Pat Lee <pat@a.example>\nSam <sam@a.example>;Leave", ["pat@a.example", "sam@a.example"]),
    (
        "Pat Lee <pat@a.example>; Sam <sam@a.example>; Jo <jo@a.example>",
        ["pat@a.example", "sam@a.example", "jo@a.example"],
    ),
    ("pat@a.example, sam@a.example", ["pat@a.example", "sam@a.example"]),
    ("jörg@xn--mnchen-3ya.example\nJÖRG@MÜNCHEN.example", ["jörg@münchen.example"]),
    ("E-mail;Owner\npat@a.example;Petra", ["pat@a.example"]),
]


@pytest.mark.parametrize(("text", "expected"), READ)
def test_addresses_and_ids(text, expected):
    assert keys(text) == expected


@pytest.mark.parametrize("sign", ["\t", ";", ","])
@pytest.mark.parametrize("end", ["2027-01-31", "31.1.2027", "2027-01-31 23:59"])
def test_columns_with_each_separator(sign, end):
    text = sign.join(["pat@a.example", '"Leave, and; then"', "petra@a.example", end])

    [line] = read_lines(text).lines

    assert (line.reason, line.owner, line.problem) == ("Leave, and; then", "petra@a.example", "")
    assert timezone.localtime(line.ends_at).isoformat()[:19] == "2027-01-31T23:59:59"


def test_a_long_cell_takes_no_long_time():
    began = time.thread_time()
    [line] = read_lines("<" + "@" * 100_000).lines
    assert "is no e-mail address" in line.problem
    assert time.thread_time() - began < 2


def test_named_columns_in_any_order_and_numbers_of_lines():
    lines = read_lines(
        'Owner;Until;Value;Reason\n\nPetra;;pat@a.example;"On\nleave"\nPetra;;nobody here;x\nOmar;;pat@a.example;'
    )

    assert [(line.number, line.owner, line.reason, bool(line.problem)) for line in lines.lines] == [
        (3, "Petra", "On\nleave", False),
        (5, "", "", True),
    ]
    assert lines.repeated == 1
    # What is left can be read again with the same columns.
    again = read_lines(f"{lines.headings}\n{lines.lines[1].text}")
    assert (again.lines[0].number, again.lines[0].problem) == (2, lines.lines[1].problem)


WRONG = [
    ("pat lee", "is neither an e-mail address nor an ID"),
    ("@a.example", "is no e-mail address"),
    ("pat@@a.example", "is no e-mail address"),
    (";Leave;Petra", "The first column is empty"),
    ("pat@a.example;Leave;Petra;soon", "“soon” is no date. Write it as year-month-day"),
    ("pat@a.example;Leave;Petra;31.2.2027", "is no date"),
    ("x" * 260 + "@a.example", "is no e-mail address"),
]


@pytest.mark.parametrize(("text", "sentence"), WRONG)
def test_a_wrong_line_has_its_reason_and_the_others_are_read(text, sentence):
    wrong, right = read_lines(f"{text}\nsam@a.example").lines

    assert sentence in wrong.problem and (wrong.number, wrong.key) == (1, "")
    assert (right.key, right.number) == ("sam@a.example", 2)


TEXT = "jörg@münchen.example"


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "cp1252"])
def test_encodings(encoding):
    assert keys(decode(TEXT.encode(encoding))) == [TEXT]


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"PK\x03\x04\x00\x00", "This is no text file"),
        (b"\x81\x8d", "This is no text file"),
        (b"a" * (MAX_BYTES + 1), "larger than 2 MB"),
    ],
)
def test_a_file_that_is_no_text(content, sentence):
    with pytest.raises(Refused, match=sentence):
        decode(content)


def test_a_text_that_cannot_be_split():
    with pytest.raises(Refused, match=rf"Protect at most {MAX_LINES:,}"):
        read_lines("\n".join(f"p{number}@a.example" for number in range(MAX_LINES + 1)))
    with pytest.raises(Refused, match="Line 2 cannot be read"):
        read_lines(f"a@b.example\n{'x' * 200_000}")
