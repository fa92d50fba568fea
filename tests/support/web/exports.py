"""Reads exported files."""

from __future__ import annotations

import csv
import io

from openpyxl import load_workbook


def rows(response, *, separator: str = ",") -> list[dict[str, str]]:
    """The lines of a CSV file."""
    text = b"".join(response.streaming_content).decode("utf-8-sig")
    return list(csv.DictReader(io.StringIO(text), delimiter=separator))


def sheets(response) -> list[list[dict[str, object]]]:
    """The lines of each sheet of an Excel file, as a spreadsheet reads its cells."""
    book = load_workbook(io.BytesIO(b"".join(response.streaming_content)))
    found = []
    for sheet in book.worksheets:
        head, *lines = sheet.iter_rows(values_only=True)
        found.append([dict(zip(head, line, strict=True)) for line in lines])
    return found
