"""The report as PDF. The same report gives the same bytes."""

from __future__ import annotations

import io
import unicodedata
from functools import cache
from typing import Any
from xml.sax.saxutils import escape

from django.utils.translation import gettext as _
from reportlab.lib import colors
from reportlab.lib.pagesizes import A4, landscape
from reportlab.lib.styles import ParagraphStyle
from reportlab.lib.units import mm
from reportlab.pdfbase import pdfmetrics
from reportlab.pdfbase.ttfonts import TTFont
from reportlab.platypus import LongTable, Paragraph, SimpleDocTemplate, Spacer, TableStyle

from licensehub.ui.formatting import number
from subscriptions.evidence.report import Report, ShownTable

# Each cell is laid out in memory. The files and the HTML report have more rows.
MAX_ROWS = 500
REGULAR, BOLD = "Vera", "VeraBd"
UNKNOWN = "□"
MARGIN = 14 * mm
INK, MUTED, LINE, HEAD = colors.HexColor("#111827"), colors.HexColor("#6b7280"), colors.HexColor("#d1d5db"), "#f3f4f6"
TITLE = ParagraphStyle("title", fontName=BOLD, fontSize=16, leading=22, textColor=INK, spaceAfter=6)
SECTION = ParagraphStyle("section", fontName=BOLD, fontSize=11, leading=15, textColor=INK, spaceBefore=12, spaceAfter=2)
TEXT = ParagraphStyle("text", fontName=REGULAR, fontSize=8, leading=11, textColor=INK, spaceAfter=4)
SMALL = ParagraphStyle("small", parent=TEXT, textColor=MUTED)
CELL = ParagraphStyle("cell", fontName=REGULAR, fontSize=6.5, leading=8.5, textColor=INK, splitLongWords=1)
HEADER = ParagraphStyle("header", parent=CELL, fontName=BOLD)
GRID = TableStyle(
    [
        ("VALIGN", (0, 0), (-1, -1), "TOP"),
        ("LINEBELOW", (0, 0), (-1, -1), 0.4, LINE),
        ("BACKGROUND", (0, 0), (-1, 0), colors.HexColor(HEAD)),
        ("LEFTPADDING", (0, 0), (-1, -1), 3),
        ("RIGHTPADDING", (0, 0), (-1, -1), 3),
        ("TOPPADDING", (0, 0), (-1, -1), 2),
        ("BOTTOMPADDING", (0, 0), (-1, -1), 2),
    ]
)


@cache
def _glyphs() -> frozenset[int]:
    """The letters that both fonts have. They come with reportlab, so they are the same on each machine."""
    regular, bold = TTFont(REGULAR, "Vera.ttf"), TTFont(BOLD, "VeraBd.ttf")
    for font in (regular, bold):
        pdfmetrics.registerFont(font)
    return frozenset(regular.face.charToGlyph) & frozenset(bold.face.charToGlyph)


def printable(text: str) -> str:
    """The text in letters that the font has: `Śliwa` as `Sliwa`, and a letter of another script as `□`."""
    known = _glyphs()
    if all(ord(letter) in known for letter in text):
        return text
    return "".join(letter if ord(letter) in known else _nearest(letter, known) for letter in text)


def _nearest(letter: str, known: frozenset[int]) -> str:
    if letter.isspace():
        return " "
    base = "".join(part for part in unicodedata.normalize("NFKD", letter) if ord(part) in known)
    return base or ("" if unicodedata.combining(letter) else UNKNOWN if ord(UNKNOWN) in known else "?")


def as_pdf(report: Report) -> bytes:
    file = io.BytesIO()
    document = SimpleDocTemplate(
        file,
        pagesize=landscape(A4),
        leftMargin=MARGIN,
        rightMargin=MARGIN,
        topMargin=MARGIN,
        bottomMargin=MARGIN,
        title=printable(report.title),
        author="LicenseHub",
        lang=report.language,
        invariant=1,
    )
    _glyphs()  # registers the fonts
    story = [*_cover(report), *(part for table in report.tables for part in _table(table, document.width))]
    number_page = _page_number(report)
    document.build(story, onFirstPage=number_page, onLaterPages=number_page)
    return file.getvalue()


def _paragraph(text: str, style: ParagraphStyle) -> Paragraph:
    return Paragraph(escape(printable(text)), style)


def _cover(report: Report) -> list[Any]:
    width = landscape(A4)[0] - 2 * MARGIN
    facts = [[_paragraph(label, HEADER), _paragraph(value, CELL)] for label, value in report.facts]
    controls = [
        [
            _paragraph(one.name, CELL),
            _paragraph(one.topic, CELL),
            _paragraph(one.says, CELL),
            _paragraph(", ".join(one.files), CELL),
        ]
        for one in report.controls
    ]
    heads = [_paragraph(text, HEADER) for text in (_("Control"), _("Topic"), _("What the pack supports"), _("Files"))]
    files = [[_paragraph(name, CELL), _paragraph(says, CELL)] for name, says in report.files]
    note = _(
        "The font of this file does not have all letters. It shows some of them without their marks, or as {sign}. "
        "report.html shows all letters."
    )
    return [
        _paragraph(report.title, TITLE),
        *([_paragraph(report.company, TEXT)] if report.company else []),
        LongTable(facts, colWidths=[width * 0.25, width * 0.75], style=TableStyle(GRID.getCommands()[:2])),
        _paragraph(_("Controls that this pack supports"), SECTION),
        _paragraph(report.limits, TEXT),
        LongTable(
            [heads, *controls], colWidths=[width * part for part in (0.2, 0.22, 0.38, 0.2)], style=GRID, repeatRows=1
        ),
        _paragraph(_("Files of this pack"), SECTION),
        LongTable(files, colWidths=[width * 0.2, width * 0.8], style=TableStyle(GRID.getCommands()[:2])),
        _paragraph(note.format(sign=printable(UNKNOWN)), SMALL),
    ]


def _table(table: ShownTable, width: float) -> list[Any]:
    head = [_paragraph(table.title, SECTION), _paragraph(table.says, SMALL)]
    if not table.rows:
        return [*head, _paragraph(_("None."), TEXT)]
    rows = [[_paragraph(value, CELL) for value in row] for row in table.rows[:MAX_ROWS]]
    left = len(table.rows) - len(rows)
    left_out = table.left_out if not left else _("More rows are in report.html and in {file}.").format(file=table.file)
    heads = [_paragraph(text, HEADER) for text in table.headers]
    columns = [width / len(heads)] * len(heads)
    grid = LongTable([heads, *rows], colWidths=columns, style=GRID, repeatRows=1)
    return [*head, grid, *([_paragraph(left_out, SMALL)] if left_out else []), Spacer(1, 4 * mm)]


def _page_number(report: Report) -> Any:
    def draw(canvas: Any, document: Any) -> None:
        canvas.saveState()
        canvas.setFont(REGULAR, 7)
        canvas.setFillColor(MUTED)
        canvas.drawString(MARGIN, 8 * mm, printable(report.title))
        page = _("Page {number}").format(number=number(document.page))
        canvas.drawRightString(landscape(A4)[0] - MARGIN, 8 * mm, page)
        canvas.restoreState()

    return draw
