"""The output of a command: tables for people, JSON for programs.

A text may come from a stranger, e.g. the name of a person. A terminal would obey the control characters in it, so each
character that is not printable is shown as its code.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import IO, Any, Final

import click

Row = Mapping[str, Any]
# The heading, and the value of a row.
Column = tuple[str, Callable[[Any], object]]
MAX_CELL: Final = 60
EMPTY: Final = "–"


def printable(text: str) -> str:
    """The text with the code of each character that a terminal would not show, e.g. `[U+001B]`."""
    if text.isprintable():
        return text
    return "".join(sign if sign.isprintable() else f"[U+{ord(sign):04X}]" for sign in text)


def field(name: str) -> Callable[[Any], object]:
    """`state.code` -> the value of `code` in `state`."""

    def value(row: Row) -> object:
        found: Any = row
        for part in name.split("."):
            found = found.get(part) if isinstance(found, Mapping) else None
        return found

    return value


def cell(value: object) -> str:
    """A value as people read it, in one line."""
    if value is None or value == "" or value == []:
        return EMPTY
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list):
        return ", ".join(map(cell, value))
    if isinstance(value, dict) and "label" in value:
        return cell(value["label"])
    return printable(" ".join(str(value).split(" ")))


def show_table(rows: Sequence[Row], columns: Sequence[Column], *, nothing: str = "Nothing found.") -> None:
    """The rows under their headings. Long cells are cut: `--json` has them whole."""
    if not rows:
        say(nothing)
        return
    lines = [[name for name, _value in columns]]
    lines += [[_cut(cell(value(row))) for _name, value in columns] for row in rows]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    for number, line in enumerate(lines):
        text = "  ".join(part.ljust(width) for part, width in zip(line, widths, strict=True)).rstrip()
        click.secho(text, bold=number == 0)


def _cut(text: str) -> str:
    return text if len(text) <= MAX_CELL else text[: MAX_CELL - 1] + "…"


def show_values(row: Row, names: Iterable[tuple[str, object]]) -> None:
    """Names and values of one thing, one a line."""
    shown = [(printable(name), cell(value)) for name, value in names]
    width = max(len(name) for name, _value in shown)
    for name, value in shown:
        click.echo(f"{click.style(name.ljust(width), bold=True)}  {value}")


def show_json(value: object) -> None:
    click.echo(as_json(value))


def as_json(value: object, *, indent: int | None = 2) -> str:
    """JSON that is safe to show in a terminal: what is not printable stands in it as an escape."""
    text = json.dumps(value, indent=indent, ensure_ascii=False)
    if text.isprintable():
        return text
    return "".join(sign if sign.isprintable() or sign == "\n" else json.dumps(sign)[1:-1] for sign in text)


def say(text: str) -> None:
    """A sentence as the result."""
    click.echo(printable(text))


class Terminal:
    """A file that may be a terminal. Another file gets each character, since a program may read it."""

    def __init__(self, file: IO[str]) -> None:
        self._file = file
        self._is_one = file.isatty()

    def write(self, text: str) -> None:
        self._file.write("\n".join(map(printable, text.split("\n"))) if self._is_one else text)


def note(text: str) -> None:
    """A sentence beside the result, on standard error, so that the result can be read by a program."""
    click.echo(printable(text), err=True)
