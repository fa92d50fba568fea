"""Read pasted lines, or a CSV file, of people to protect: an address or an id, and perhaps reason, owner and end."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, time
from io import StringIO

from django.core.exceptions import ValidationError
from django.utils import timezone
from django.utils.translation import gettext as _

from licensehub.ui.csv_file import unmarked
from licensehub.ui.formatting import number
from subscriptions.errors import Refused
from subscriptions.rules.protection_values import MEMBER_ID, clean_address

MAX_LINES = 5000
# Of a text, with blank and repeated ones: each takes some time.
MAX_TEXT_LINES = 20_000
MAX_BYTES = 2_000_000
MAX_CELL = 1000
SEPARATORS = "\t;,"
COLUMNS = ("address", "reason", "owner", "end")
# Words of a first line that names the columns, in each language, also those of our own export.
HEADINGS = {
    "address": (
        *("address", "e-mail", "email", "mail", "e-mail address", "email address", "person", "value", "id"),
        *("adresse", "e-mail-adresse", "wert"),
    ),
    "reason": ("reason", "why", "grund", "begründung", "warum"),
    "owner": ("owner", "contact", "verantwortlich", "kontakt"),
    "end": ("end", "ends", "until", "end date", "ende", "endet", "bis", "enddatum"),
}
IN_BRACKETS = re.compile(r"<([^<>]*@[^<>]*)>\s*$")  # Pat Lee <pat@northwind.example>
GERMAN_DATE = re.compile(r"(\d{1,2})\.(\d{1,2})\.(\d{4})")


@dataclass(frozen=True, slots=True)
class Line:
    """One person of the text. `number` counts from 1, as an editor does. `key` is a normalized address or an id.

    `problem` says why the line cannot be read; empty when it can. The other values are empty where the line has none.
    """

    number: int
    text: str
    key: str = ""
    reason: str = ""
    owner: str = ""
    ends_at: datetime | None = None
    problem: str = ""


@dataclass(slots=True)
class Lines:
    """`repeated`: the number of lines with the person of an earlier line. `headings`: the line of column names."""

    lines: list[Line] = field(default_factory=list)
    repeated: int = 0
    headings: str = ""


def decode(content: bytes) -> str:
    """The text of an uploaded file: UTF-8, UTF-16 with its mark, or else Windows-1252. Raises Refused."""
    if len(content) > MAX_BYTES:
        raise Refused(_("This file is larger than {size} MB. Split it.").format(size=MAX_BYTES // 1000000))
    encodings = ("utf-16",) if content.startswith((b"\xff\xfe", b"\xfe\xff")) else ("utf-8-sig", "cp1252")
    for encoding in encodings:
        try:
            text = content.decode(encoding)
        except UnicodeDecodeError:
            continue
        if "\0" not in text:
            return text
    raise Refused(_("This is no text file. Save the table as CSV, or copy its cells into the field below."))


def read_lines(text: str) -> Lines:
    """Read all lines, without blank lines and without people of an earlier line. Raises Refused."""
    rows = list(_rows(text.removeprefix("\ufeff")))
    columns: Sequence[str] = COLUMNS
    found, seen = Lines(), set()
    if rows and (named := _headings(rows[0][1])):
        found.headings, columns, rows = _text(rows[0][1]), named, rows[1:]
    for line in (line for at, cells in rows for line in _lines(at, cells, columns)):
        if line.key and line.key in seen:
            found.repeated += 1
            continue
        seen.add(line.key)
        found.lines.append(line)
    if len(found.lines) > MAX_LINES:
        raise Refused(
            _("These are {count} people. Protect at most {most} in one go.").format(
                count=number(len(found.lines)), most=number(MAX_LINES)
            )
        )
    return found


def _rows(text: str) -> Iterator[tuple[int, list[str]]]:
    """The cells of each line that is not blank, with the number of the line on which it begins."""
    separator = _separator(text)
    reader = csv.reader(StringIO(text, newline=""), delimiter=separator, skipinitialspace=True)
    begins = 1
    try:
        for cells in reader:
            stripped = [unmarked(cell.strip()) for cell in cells]
            if any(stripped):
                yield begins, stripped
            begins = reader.line_num + 1
            if begins > MAX_TEXT_LINES + 1:
                raise Refused(
                    _("These are more than {most} lines. Enter fewer at a time.").format(most=number(MAX_TEXT_LINES))
                )
    except csv.Error as error:
        raise Refused(
            _("Line {begins} cannot be read: {error}. Check its quotation marks.").format(begins=begins, error=error)
        ) from error


def _separator(text: str) -> str:
    """The first separator of a line, outside of quotation marks; a comma if there is none."""
    for line in text.splitlines():
        unquoted = re.sub(r'"[^"]*"?', "", line)
        if found := [sign for sign in unquoted if sign in SEPARATORS]:
            return found[0]
    return ","


def _headings(cells: Iterable[str]) -> list[str]:
    """The names of the columns, if this line names them; empty otherwise."""
    words = [cell.casefold() for cell in cells]
    names = [next((name for name, known in HEADINGS.items() if word in known), "") for word in words]
    return names if "address" in names else []


def _lines(number: int, cells: Sequence[str], columns: Sequence[str]) -> Iterator[Line]:
    """One line for these cells, or one for each if all of them are addresses, as a mail program copies them."""
    given = [cell for cell in cells if cell]
    if len(given) > 1 and all(_is_address(cell) for cell in given):
        for cell in given:
            yield _line(number, {"address": cell}, cell)
        return
    yield _line(number, dict(zip(columns, cells, strict=False)), _text(cells))


def _text(cells: Sequence[str]) -> str:
    """The cells as one line that `read_lines` reads again."""
    text = StringIO()
    csv.writer(text, delimiter=";", lineterminator="").writerow(cells)
    return text.getvalue().rstrip(";")


def _is_address(cell: str) -> bool:
    try:
        clean_address(_in_brackets(cell))
    except ValidationError:
        return False
    return True


def _in_brackets(cell: str) -> str:
    # The pattern tries each “@” of a long cell again and again, and no address is so long.
    found = IN_BRACKETS.search(cell) if len(cell) <= MAX_CELL else None
    return found.group(1) if found else cell


def _line(number: int, values: Mapping[str, str], text: str) -> Line:
    try:
        key = _key(values.get("address", ""))
        ends_at = _end(values.get("end", ""))
    except ValueError as error:
        return Line(number, text, problem=str(error))
    return Line(number, text, key, values.get("reason", ""), values.get("owner", ""), ends_at)


def _key(written: str) -> str:
    """The normalized address, or the id. Raises ValueError with a sentence."""
    if not written:
        raise ValueError(_("The first column is empty. It needs an address or an ID."))
    address = _in_brackets(written)
    if "@" not in address:
        if MEMBER_ID.fullmatch(address):
            return address
        raise ValueError(_("“{written}” is neither an e-mail address nor an ID.").format(written=written))
    try:
        return clean_address(address)
    except ValidationError as error:
        raise ValueError(" ".join(error.messages)) from error


def _end(written: str) -> datetime | None:
    """The end of this day. Raises ValueError with a sentence."""
    if not written:
        return None
    german = GERMAN_DATE.fullmatch(written)
    iso = "{2}-{1:0>2}-{0:0>2}".format(*german.groups()) if german else written
    try:
        last_day = date.fromisoformat(iso[:10])
    except ValueError:
        raise ValueError(
            _("“{written}” is no date. Write it as year-month-day, e.g. 2027-01-31.").format(written=written)
        ) from None
    return end_of(last_day)


def end_of(last_day: date) -> datetime:
    """The last second of this day, in the time zone of the company: a protection has one end for everybody."""
    return datetime.combine(last_day, time(23, 59, 59), tzinfo=timezone.get_default_timezone())
