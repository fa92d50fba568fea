"""Row values, which both databases compare as one: `(a, b) > (x, y)`, `(a, b) IN (SELECT x, y ...)`.

https://www.sqlite.org/rowvalue.html
"""

from __future__ import annotations

from django.db.models import BooleanField, Field, Func
from django.db.models.expressions import Combinable


def row(*parts: str | Combinable) -> Func:
    """`(a, b)`."""
    return Func(*parts, function="", output_field=Field())


def compared(left: Combinable, operator: str, right: Combinable) -> Func:
    """For `filter`."""
    joined = {"template": "%(expressions)s", "arg_joiner": f" {operator} "}
    return Func(left, right, output_field=BooleanField(), **joined)
