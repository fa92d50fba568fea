"""Read a YAML file into entries that know their place, and refuse what no configuration needs.

There are no tags, so nothing is constructed; no anchors and aliases, so a small file stays small; and no name twice.
A value is a text until a section says what it has to be: `no` is a name where a name is expected.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, NamedTuple, TypeVar

import yaml

T = TypeVar("T")
MAX_BYTES: Final = 2_000_000
MAX_DEPTH: Final = 10
MAX_INTEGER: Final = 10  # digits
UNSTORABLE: Final = re.compile("[\x00\ud800-\udfff]")
EMPTY: Final = ("", "~", "null", "Null", "NULL")


class Place(NamedTuple):
    """Line and column count from 1, as an editor does."""

    file: str
    line: int
    column: int

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.column}"


class Wrong(Exception):
    """One mistake in the file, with its place. Its text is `FILE:LINE:COLUMN: sentence`."""

    def __init__(self, place: Place, sentence: str) -> None:
        super().__init__(f"{place}: {sentence}")
        self.place, self.sentence = place, sentence


@dataclass(frozen=True)
class Entry:
    """One value: a text, a list, or named entries; None for an empty one."""

    place: Place
    value: str | list[Entry] | dict[str, Entry] | None
    names: dict[str, Place] = field(default_factory=dict)

    def wrong(self, sentence: str) -> Wrong:
        return Wrong(self.place, sentence)

    def named(self) -> dict[str, Entry]:
        """The entries by name; none for an empty value."""
        if self.value is None:
            return {}
        if not isinstance(self.value, dict):
            raise self.wrong("Names with values are expected here, e.g. `name: value`.")
        return self.value

    def items(self) -> list[Entry]:
        if self.value is None:
            return []
        if not isinstance(self.value, list):
            raise self.wrong("A list is expected here: lines that begin with “- ”.")
        return self.value

    def text(self) -> str:
        if not isinstance(self.value, str):
            raise self.wrong("A text is expected here.")
        return self.value

    def number(self) -> int:
        """A whole number of 0 or more."""
        text = self.text()
        if not (text.isascii() and text.isdecimal() and len(text) <= MAX_INTEGER):
            raise self.wrong("A whole number is expected here, e.g. 60.")
        return int(text)

    def switch(self) -> bool:
        text = self.text()
        if text not in ("true", "false"):
            raise self.wrong("Write true or false here.")
        return text == "true"

    def one_of(self, known: Iterator[str] | list[str]) -> str:
        text, words = self.text(), list(known)
        if text not in words:
            raise self.wrong(f"“{text}” is not known here. Known are: {', '.join(words)}.")
        return text

    def only(self, *known: str) -> dict[str, Entry]:
        """The entries by name, which are among these."""
        found = self.named()
        for name in found:
            if name not in known:
                raise Wrong(self.names[name], f"“{name}” is not known here. Known are: {', '.join(known)}.")
        return found

    def read(self, name: str, kind: Callable[[Entry], T], default: T) -> T:
        """The value with this name; the default if there is none."""
        entry = self.named().get(name)
        return default if entry is None else kind(entry)

    def required(self, name: str) -> Entry:
        entry = self.named().get(name)
        if entry is None:
            raise self.wrong(f"“{name}” is missing here.")
        return entry


def read_file(path: Path) -> Entry:
    """The file as one entry. Raises Wrong."""
    begin = Place(str(path), 1, 1)
    try:
        with path.open("rb") as file:
            content = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise Wrong(begin, f"The file cannot be read: {error.strerror}.") from error
    if len(content) > MAX_BYTES:
        raise Wrong(begin, "The file is larger than 2 MB. Split it.")
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        raise Wrong(Place(str(path), line, 1), "This line is not UTF-8.") from error
    return read_text(text, str(path))


def read_text(text: str, file: str) -> Entry:
    """The same for a text."""
    builder = _Builder(file)
    try:
        for event in yaml.parse(text, Loader=yaml.SafeLoader):
            builder.take(event)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        place = Place(file, mark.line + 1, mark.column + 1) if mark else Place(file, 1, 1)
        raise Wrong(place, f"This is no YAML: {error.problem or error.context}.") from error
    except (ValueError, OverflowError) as error:
        # PyYAML does not check the numbers of escapes and versions.
        raise Wrong(builder.after, "After this, an escape or a number is too large.") from error
    except yaml.reader.ReaderError as error:
        before = text[: error.position]
        place = Place(file, before.count("\n") + 1, len(before) - before.rfind("\n"))
        raise Wrong(place, "A file may not have this character. Write it as an escape in quotation marks.") from error
    return builder.root or Entry(Place(file, 1, 1), None)


class _Builder:
    """Builds entries from the events of the parser."""

    def __init__(self, file: str) -> None:
        self.file = file
        self.after = Place(file, 1, 1)
        self.root: Entry | None = None
        # The open lists and mappings, and for each mapping the name that waits for its value.
        self.open: list[Entry] = []
        self.waiting: list[str | None] = []

    def take(self, event: Any) -> None:
        mark = event.start_mark
        place = self.after = Place(self.file, mark.line + 1, mark.column + 1)
        if isinstance(event, yaml.AliasEvent) or getattr(event, "anchor", None):
            raise Wrong(place, "Anchors and aliases (& and *) are not allowed here. Write the value out.")
        if getattr(event, "tag", None):
            raise Wrong(place, "Tags (!) are not allowed here.")
        if isinstance(event, yaml.DocumentStartEvent) and self.root is not None:
            raise Wrong(place, "The file has a second document. One file is one configuration.")
        if isinstance(event, yaml.ScalarEvent):
            if UNSTORABLE.search(event.value):
                raise Wrong(place, "No database stores the escape \\0, or half of a surrogate pair.")
            empty = event.style is None and event.value in EMPTY
            self._add(Entry(place, None if empty else event.value))
        elif isinstance(event, yaml.MappingStartEvent | yaml.SequenceStartEvent):
            if len(self.open) >= MAX_DEPTH:
                raise Wrong(place, "This is nested too deeply.")
            entry = Entry(place, {} if isinstance(event, yaml.MappingStartEvent) else [])
            self._add(entry)
            self.open.append(entry)
            self.waiting.append(None)
        elif isinstance(event, yaml.MappingEndEvent | yaml.SequenceEndEvent):
            self.open.pop()
            self.waiting.pop()

    def _add(self, entry: Entry) -> None:
        if not self.open:
            self.root = entry
        elif isinstance(self.open[-1].value, list):
            self.open[-1].value.append(entry)
        elif (name := self.waiting[-1]) is not None:
            assert isinstance(self.open[-1].value, dict)  # noqa: S101 - for mypy
            self.open[-1].value[name] = entry
            self.waiting[-1] = None
        else:
            self._name(entry, self.open[-1])

    def _name(self, entry: Entry, parent: Entry) -> None:
        if not isinstance(entry.value, str):
            raise entry.wrong("A name is a text.")
        if entry.value in parent.names:
            first = parent.names[entry.value]
            raise entry.wrong(f"“{entry.value}” is here twice: the first one is in line {first.line}.")
        parent.names[entry.value] = entry.place
        self.waiting[-1] = entry.value
