"""CSV files that no spreadsheet runs: https://owasp.org/www-community/attacks/CSV_Injection"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, tzinfo
from decimal import Decimal
from functools import cache
from itertools import islice
from typing import Any

from django.http import StreamingHttpResponse
from django.utils import timezone, translation
from django.utils.functional import Promise

from licensehub.ui.invisible import visible

# A header of a file, and the value of a row.
Column = tuple[str | Promise, Callable[[Any], object]]


@dataclass(frozen=True, slots=True)
class Moment:
    """The value of a column of moments. Its header in the file names the time zone, so that its cells need not.

    No spreadsheet reads a cell with a difference to UTC as a moment.
    """

    of: Callable[[Any], object]

    def __call__(self, row: Any) -> object:
        return self.of(row)


def headers(columns: Iterable[Column]) -> list[str]:
    """The first line of a file: `Requested (Europe/Berlin)` for moments, in the time zone of the reader."""
    zone = timezone.get_current_timezone()
    return [f"{title} ({zone})" if isinstance(value, Moment) else str(title) for title, value in columns]


def value_in_file(value_of: Callable[[Any], object], row: Any) -> object:
    """The value of a cell. In a column of moments: the time of the reader, without its zone, to the second."""
    value = value_of(row)
    if isinstance(value_of, Moment) and isinstance(value, datetime):
        return timezone.localtime(value).replace(tzinfo=None, microsecond=0)
    return value


# The number of lines that are sent at once. Sending lines one by one takes longer than making them.
LINES = 500
# A spreadsheet reads a cell that starts like this as a formula, and may run it. It skips blanks of any kind before the
# sign. In East Asian languages it reads full-width signs, too.
BLANKS = "[\\s\u200b\ufeff]*"
SIGNS = "=+\\-@\uff1d\uff0b\uff0d\uff20"
FORMULA = re.compile(f"{BLANKS}[{SIGNS}|%\uff5c\uff05]|[\t\r\n]")


@cache
def _inner_formula(separator: str) -> re.Pattern[str]:
    """A formula behind another separator than the one of the file: a spreadsheet may split the line there."""
    others = ",;\t".replace(separator, "")
    return re.compile(f"([{others}])(?={BLANKS}[{SIGNS}])")


def harmless(value: object, separator: str = ",") -> str:
    """The value as a cell. An apostrophe comes before what a spreadsheet takes for a formula.

    A moment is ISO 8601 in the time zone of the reader, with its difference to UTC; a moment without a zone stays as it
    is. Numbers stay numbers, also below 0: behind an apostrophe, a spreadsheet would leave them out of a sum. Where
    lines are split at semicolons, the comma is the decimal sign, and a spreadsheet would read 12.50 as December 1950.
    """
    if value is None:
        return ""
    if isinstance(value, int | Decimal):
        return str(value).replace(".", ",") if separator == ";" else str(value)
    if isinstance(value, datetime):
        return timezone.localtime(value).isoformat(timespec="seconds") if value.tzinfo else str(value)
    text = _inner_formula(separator).sub(r"\1'", str(value))
    return visible(f"'{text}" if FORMULA.match(text) else text)


def unmarked(cell: str) -> str:
    """A cell of a file that we wrote, without the apostrophe before what looks like a formula."""
    return cell[1:] if cell.startswith("'") and FORMULA.match(cell[1:]) else cell


def response(columns: Sequence[Column], rows: Iterable[Any], *, name: str, separator: str) -> StreamingHttpResponse:
    """A file `name`-<today>.csv, some lines at a time."""
    # The server asks for the lines when the request of the reader is over.
    lines = _lines(columns, rows, separator, timezone.get_current_timezone(), translation.get_language())
    answer = StreamingHttpResponse(lines, content_type="text/csv; charset=utf-8")
    answer["Content-Disposition"] = f'attachment; filename="{name}-{timezone.localdate():%Y-%m-%d}.csv"'
    return answer


def _lines(
    columns: Sequence[Column],
    rows: Iterable[Any],
    separator: str,
    zone: tzinfo,
    language: str | None,
) -> Iterator[str]:
    # Without this mark, Excel misreads letters that are not ASCII.
    with timezone.override(zone), translation.override(language):
        header = _text([headers(columns)], separator)
    yield "\ufeff" + header
    left = iter(rows)
    while part := list(islice(left, LINES)):
        with timezone.override(zone), translation.override(language):
            lines = [[harmless(value_in_file(value, row), separator) for _, value in columns] for row in part]
            text = _text(lines, separator)
        yield text


def _text(lines: Iterable[Sequence[str]], separator: str) -> str:
    file = io.StringIO()
    csv.writer(file, delimiter=separator).writerows(lines)
    return file.getvalue()
