"""Files for Excel. Counts and amounts are numbers, which can be added; every other cell is text.

Excel keeps 15 digits of a number, so longer ones are text, too. Ids are text in the columns already.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from decimal import Decimal
from tempfile import TemporaryFile
from typing import Any, Final

from django.http import FileResponse
from django.utils import timezone

from licensehub.ui.csv_file import FORMULA, Column
from licensehub.ui.invisible import visible

CONTENT_TYPE: Final = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
# Excel's own limits: https://support.microsoft.com/office/1672b34d-7043-467e-8e27-269d656771c3
MAX_ROWS: Final = 1_048_576
MAX_CELL: Final = 32_767
MAX_NUMBER: Final = 10**15
WIDTH: Final = 22


def response(columns: Sequence[Column], rows: Iterable[Any], *, name: str) -> FileResponse:
    """A file `name`-<today>.xlsx, with one more sheet for each million rows. It is made on disk, not in memory."""
    # Here, since few processes write such a file.
    from xlsxwriter import Workbook

    file = TemporaryFile()  # noqa: SIM115 - the response closes it
    with Workbook(file, {"constant_memory": True}) as book:
        bold, plain = book.add_format({"bold": True}), book.add_format()
        # With this format, a cell stays text after a person has edited it in Excel.
        quoted = book.add_format({"quote_prefix": True})
        line = MAX_ROWS
        for row in rows:
            if line == MAX_ROWS:
                sheet, line = _sheet(book, columns, bold), 1
            for place, (_, value_of) in enumerate(columns):
                value = value_of(row)
                if (
                    isinstance(value, int | Decimal)
                    and not isinstance(value, bool)
                    and -MAX_NUMBER < value < MAX_NUMBER
                ):
                    sheet.write_number(line, place, value, plain)
                    continue
                text = _text(value)
                sheet.write_string(line, place, text, quoted if FORMULA.match(text) else plain)
            line += 1
        if not book.worksheets():
            _sheet(book, columns, bold)
    file.seek(0)
    filename = f"{name}-{timezone.localdate():%Y-%m-%d}.xlsx"
    return FileResponse(file, as_attachment=True, filename=filename, content_type=CONTENT_TYPE)


def _sheet(book: Any, columns: Sequence[Column], bold: Any) -> Any:
    sheet = book.add_worksheet()
    sheet.freeze_panes(1, 0)
    sheet.set_column(0, len(columns) - 1, WIDTH)
    for place, (header, _) in enumerate(columns):
        sheet.write_string(0, place, str(header), bold)
    return sheet


def _text(value: object) -> str:
    """Dates as in a CSV file. A text that is too long for a cell is cut, since Excel would refuse the file."""
    if value is None:
        return ""
    text = (
        timezone.localtime(value).isoformat(timespec="seconds") if isinstance(value, datetime) else visible(str(value))
    )
    return text if len(text) <= MAX_CELL else f"{text[: MAX_CELL - 1]}…"
