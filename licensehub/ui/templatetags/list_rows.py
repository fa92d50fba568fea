"""The table of a list: the HTML of unfold's tag, with what all rows have in common drawn once.

For each row, unfold draws all headers again, one of them by a template. That is a fifth of the time of a page.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import date, time
from typing import Any, NamedTuple

from django.contrib.admin.templatetags.base import InclusionAdminNode
from django.contrib.admin.views.main import ChangeList
from django.db.models import Model
from django.template import Library
from django.template.base import Parser, Token
from django.utils.html import conditional_escape, format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from unfold.templatetags.unfold_list import (
    CHECKBOX_CLASSES,
    LINK_CLASSES,
    ROW_CLASSES,
    UnfoldResultList,
    result_headers,
)
from unfold.templatetags.unfold_list import result_list as unfold_table
from unfold.utils import display_for_value

register = Library()
CHECKBOX = "action_checkbox"
# Ways of unfold to draw a cell that no list of ours uses.
SPECIAL = ("label", "header", "dropdown")


@register.tag
def list_rows(parser: Parser, token: Token) -> InclusionAdminNode:
    # The types are those of Django 6.1, where the name of the tag comes first.
    tag: Any = InclusionAdminNode
    node: InclusionAdminNode = tag(parser, token, func=table_of, template_name="change_list_results.html")
    return node


def table_of(context: dict[str, Any], cl: ChangeList) -> dict[str, Any]:
    """The context of `change_list_results.html`, as unfold makes it."""
    if not _draws_each_cell(cl):
        table: dict[str, Any] = unfold_table(context, cl)
        return table
    headers = list(result_headers(cl))
    columns = _columns(cl, [str(header["text"]) for header in headers])
    return {
        "cl": cl,
        "result_headers": headers,
        "num_sorted_fields": sum(bool(header["sortable"] and header["sorted"]) for header in headers),
        "results": [UnfoldResultList(row, None, _cells(cl, columns, row)) for row in cl.result_list],
        "actions_row": context.get("actions_row"),
        "has_add_permission": cl.model_admin.has_add_permission(context["request"]),
    }


def _draws_each_cell(cl: ChangeList) -> bool:
    """Whether each column is a method of the admin class that returns what the cell shows."""
    # A class without columns has `__str__`, which is that of the row.
    draws = [None if name == "__str__" else getattr(cl.model_admin, str(name), None) for name in cl.list_display]
    plain = all(callable(draw) and not any(hasattr(draw, name) for name in SPECIAL) for draw in draws)
    usual = not cl.is_popup and not cl.preserved_filters and not cl.model_admin.list_editable
    return plain and usual and not getattr(cl.model_admin, "ordering_field", None)


class Column(NamedTuple):
    """A column of the list, with what the cells of all rows have in common."""

    draw: Callable[[Model], object]
    start: str
    end: str
    # Whether the cell links to the page of the row.
    linked: bool
    empty: str
    boolean: bool


def _columns(cl: ChangeList, labels: list[str]) -> list[Column]:
    links = [name for name in cl.list_display if name in (cl.list_display_links or ())]
    nothing = cl.model_admin.get_empty_value_display()
    columns: list[Column] = []
    for number, name in enumerate(map(str, cl.list_display)):
        draw = getattr(cl.model_admin, name)
        classes = CHECKBOX_CLASSES if name == CHECKBOX else [f"field-{name}", *ROW_CLASSES]
        tag = "th" if links[:1] == [name] else "td"
        label = labels[number] if number or name in links else _("Select record")
        start = format_html('<{} class="{}" data-label="{}">', tag, " ".join(classes), label)
        empty, boolean = getattr(draw, "empty_value_display", nothing), getattr(draw, "boolean", False)
        columns.append(Column(draw, start, f"</{tag}>", name in links, empty, boolean))
    return columns


def _cells(cl: ChangeList, columns: list[Column], row: Model) -> Iterator[SafeString]:
    for draw, start, end, linked, empty, boolean in columns:
        value = draw(row)
        shown = conditional_escape(display_for_value(value, empty, boolean))
        if linked:
            shown = format_html(
                '<a href="{}" class="{}" >{}</a>', cl.url_for_result(row), " ".join(LINK_CLASSES), shown
            )
        if isinstance(value, date | time):
            start = start.replace('" data-label', ' nowrap" data-label', 1)
        # All three are safe. To escape them once more would take a third of the time of a cell.
        yield SafeString(f"{start}{shown}{end}")
