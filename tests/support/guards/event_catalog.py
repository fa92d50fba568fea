"""Each event that LicenseHub records in a test has its action and its fields in docs/audit-events.md."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path
from types import FrameType
from typing import Any, NamedTuple

import pytest
from django.conf import settings

from licensehub.audit import log
from licensehub.audit.store import EVENT_COLUMNS, SharedColumns

ROW = re.compile(r"^\| `([a-z_.]+)` \| (.+?) \| (.+?) \| (.+?) \|$", re.MULTILINE)
DATA = EVENT_COLUMNS.index("data")
# Each event can have them.
OF_ALL = frozenset({"token", "command", "operator"})
OWN = str(Path(log.__file__).parent)


class CatalogRow(NamedTuple):
    """One action: its label, when it is recorded, and its fields; `*` stands for any."""

    label: str
    when: str
    fields: frozenset[str]


@cache
def catalog() -> dict[str, CatalogRow]:
    text = (settings.BASE_DIR / "docs" / "audit-events.md").read_text()
    return {
        action: CatalogRow(label, when, frozenset(re.findall(r"`([^`]+)`", fields)))
        for action, label, when, fields in ROW.findall(text)
    }


def unknown_fields(action: str, data: Any) -> set[str]:
    """The fields that the catalog does not have for this action."""
    row = catalog().get(action, CatalogRow("", "", frozenset()))
    return set() if "*" in row.fields else set(data) - row.fields - OF_ALL


def _is_by_a_test() -> bool:
    """Return whether a test itself records the event, with data that the test made up."""
    frame: FrameType | None = sys._getframe(2)
    while frame and (frame.f_code.co_filename.startswith(OWN) or "/contextlib.py" in frame.f_code.co_filename):
        frame = frame.f_back
    return frame is None or frame.f_code.co_filename.startswith(str(settings.BASE_DIR / "tests"))


@pytest.fixture(autouse=True, scope="session")
def _events_are_in_the_catalog() -> Iterator[None]:
    store = log.store

    def checked(events: Iterable[tuple[Any, ...]], common: SharedColumns) -> Iterator[tuple[Any, ...]]:
        for event in events:
            if unknown := unknown_fields(common.action, json.loads(event[DATA])):
                pytest.fail(f"docs/audit-events.md lacks the fields {sorted(unknown)} of {common.action}.")
            yield event

    def watched(events: Iterable[tuple[Any, ...]], common: SharedColumns) -> None:
        store(events if _is_by_a_test() else checked(events, common), common)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(log, "store", watched)
        yield
