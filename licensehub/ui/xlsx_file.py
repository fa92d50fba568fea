"""Files for Excel. Counts and amounts are numbers, which can be added; days and moments are dates; the rest is text.

A date of Excel has no time zone, so the header of moments names the one of the reader. Excel has no date before 1900.
Excel keeps 15 digits of a number, so longer ones are text, too. Ids are text in the columns already.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from tempfile import TemporaryFile
from typing import Any, Final

from django.http import FileResponse
from django.utils import timezone

from licensehub.ui.csv_file import FORMULA, Column, harmless, headers, value_in_file
from licensehub.ui.invisible import visible

CONTENT_TYPE: Final = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
# Excel's own limits: https://support.microsoft.com/office/1672b34d-7043-467e-8e27-269d656771c3
MAX_ROWS: Final = 1_048_576
MAX_CELL: Final = 32_767
MAX_NUMBER: Final = 10**15
FIRST_YEAR: Final = 1900
DAY: Final = "yyyy-mm-dd"
MOMENT: Final = "yyyy-mm-dd hh:mm:ss"
WIDTH: Final = 22


@dataclass(frozen=True, slots=True)
class _Formats:
    """The formats of cells. With `quoted`, a cell stays text after a person has edited it in Excel."""

    header: Any
    plain: Any
    quoted: Any
    day: Any
    moment: Any


def response(columns: Sequence[Column], rows: Iterable[Any], *, name: str) -> FileResponse:
    """A file `name`-<today>.xlsx, with one more sheet for each million rows. It is made on disk, not in memory."""
    # Here, since few processes write such a file.
    from xlsxwriter import Workbook

    file = TemporaryFile()  # noqa: SIM115 - the response closes it
    with Workbook(file, {"constant_memory": True}) as book:
        formats = _Formats(
            header=book.add_format({"bold": True}),
            plain=book.add_format(),
            quoted=book.add_format({"quote_prefix": True}),
            day=book.add_format({"num_format": DAY, "align": "left"}),
            moment=book.add_format({"num_format": MOMENT, "align": "left"}),
        )
        line = MAX_ROWS
        for row in rows:
            if line == MAX_ROWS:
                sheet, line = _sheet(book, columns, formats), 1
            for place, (_, value_of) in enumerate(columns):
                _write(sheet, line, place, value_in_file(value_of, row), formats)
            line += 1
        if not book.worksheets():
            _sheet(book, columns, formats)
    file.seek(0)
    filename = f"{name}-{timezone.localdate():%Y-%m-%d}.xlsx"
    return FileResponse(file, as_attachment=True, filename=filename, content_type=CONTENT_TYPE)


def _sheet(book: Any, columns: Sequence[Column], formats: _Formats) -> Any:
    sheet = book.add_worksheet()
    sheet.freeze_panes(1, 0)
    for place, header in enumerate(headers(columns)):
        sheet.set_column(place, place, max(WIDTH, len(header)))
        sheet.write_string(0, place, header, formats.header)
    return sheet


def _write(sheet: Any, line: int, place: int, value: object, formats: _Formats) -> None:
    """Write one cell. A moment with a time zone stays text, since the header of its column does not name the zone."""
    has_zone = isinstance(value, datetime) and value.tzinfo
    if isinstance(value, date) and value.year >= FIRST_YEAR and not has_zone:
        sheet.write_datetime(line, place, value, formats.moment if isinstance(value, datetime) else formats.day)
    elif isinstance(value, int | Decimal) and not isinstance(value, bool) and -MAX_NUMBER < value < MAX_NUMBER:
        sheet.write_number(line, place, value, formats.plain)
    else:
        text = _text(value)
        sheet.write_string(line, place, text, formats.quoted if FORMULA.match(text) else formats.plain)


def _text(value: object) -> str:
    """Moments as in a CSV file. A text that is too long for a cell is cut, since Excel would refuse the file."""
    if value is None:
        return ""
    text = harmless(value) if isinstance(value, datetime) else visible(str(value))
    return text if len(text) <= MAX_CELL else f"{text[: MAX_CELL - 1]}…"
