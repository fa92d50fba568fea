"""Fields of models that Django does not have."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from django.db import models
from django.db.models import Value
from django.db.models.expressions import Combinable
from django.db.models.functions import Concat, StrIndex

SEPARATOR = "\n"


def join_labels(labels: Iterable[str]) -> str:
    """The text of these labels in the column of a `LabelsField`."""
    return SEPARATOR.join(labels)


def split_labels(stored: str | Iterable[str]) -> tuple[str, ...]:
    """The labels of a column. It may be the text in the database, or the labels already."""
    if isinstance(stored, str):
        return tuple(stored.split(SEPARATOR)) if stored else ()
    return tuple(stored)


def position_of(label: Combinable, labels: Combinable) -> StrIndex:
    """An SQL number: greater than zero where `labels`, a column of a `LabelsField`, has this label."""
    line, text = Value(SEPARATOR), models.TextField()
    return StrIndex(Concat(line, labels, line, output_field=text), Concat(line, label, line, output_field=text))


class LabelsField(models.TextField):  # type: ignore[type-arg]  # Django has no parameters at run time
    """A few labels, as a tuple. The column has one line for each, so SQL compares it as one text; "" is an empty tuple.

    No label may have a line break.
    """

    def from_db_value(self, value: str | None, expression: Any, connection: Any) -> tuple[str, ...] | None:
        return None if value is None else split_labels(value)

    def to_python(self, value: Any) -> Any:
        return split_labels(value or ())

    def get_prep_value(self, value: Any) -> Any:
        """A text is taken as it stands, e.g. `""` in a condition."""
        return join_labels(value) if isinstance(value, list | tuple) else value
