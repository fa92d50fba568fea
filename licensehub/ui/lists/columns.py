"""The columns of a list: those that a reader may choose, those that are shown, and what each is in an exported file."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, ClassVar

from django.contrib import messages
from django.contrib.admin.options import IncorrectLookupParameters
from django.contrib.admin.views.main import ERROR_FLAG
from django.contrib.auth.models import User
from django.core.exceptions import FieldDoesNotExist, ImproperlyConfigured, PermissionDenied
from django.db.models import Model
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.urls import URLPattern, path
from django.utils.functional import Promise
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.text import capfirst
from django.utils.translation import gettext as _
from unfold.admin import ModelAdmin

from licensehub.ui.csv_file import Column
from licensehub.ui.formatting import EMPTY, day, day_and_time, number, two_lines
from licensehub.ui.lists import filters
from licensehub.ui.lists.address import COLUMNS_VAR
from licensehub.ui.models import ListColumns

LONG = 40


@dataclass(frozen=True, slots=True)
class ListColumn:
    """One column of a list.

    `name` is the method of the admin class that draws a cell. Without such a method the cell shows the values that the
    file has. `exported` are the columns of the file, or a function that makes them for one file, because they read
    another table once. People without `permission` neither see nor export it.
    """

    name: str
    exported: Sequence[Column] | Callable[[], Sequence[Column]] = ()
    label: str | Promise = ""
    ordering: str = ""
    permission: str = ""

    def for_file(self) -> Sequence[Column]:
        return self.exported() if callable(self.exported) else self.exported


def flat(columns: Iterable[ListColumn]) -> list[Column]:
    """The columns of a file, each once: two columns of a list may share one."""
    found: dict[str, Column] = {}
    for column in columns:
        for header, value in column.for_file():
            found.setdefault(str(header), (header, value))
    return list(found.values())


class ColumnsMixin(ModelAdmin):
    """Put before ModelAdmin. `list_display` has the columns that are shown before a reader chooses; the first stays."""

    columns: ClassVar[Sequence[ListColumn]] = ()

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.plain = {column.name for column in self.columns if not hasattr(self, column.name)}
        for column in self.columns:
            if column.name in self.plain:
                _refuse_field(self.model, column.name)
                setattr(self, column.name, _cell_of(column))

    def get_urls(self) -> list[URLPattern]:
        view = self.admin_site.admin_view(self.choice_counts)
        return [path("counts/", view, name=f"{self.of_list}_counts"), *super().get_urls()]

    def choice_counts(self, request: HttpRequest) -> JsonResponse:
        """The number of rows of each choice of the filters. A script asks for it when somebody opens them."""
        if not self.has_view_permission(request):
            raise PermissionDenied
        try:
            return JsonResponse(filters.choice_counts(self.get_changelist_instance(request)))
        except IncorrectLookupParameters:
            return JsonResponse({})

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        """Show a message for each part of the address that the list does not know."""
        response: HttpResponse = super().changelist_view(request, extra_context)
        cl = (getattr(response, "context_data", None) or {}).get("cl")
        if cl is not None:
            unknown = _("The filter “{filter}” has no choice “{value}” any more.")
            problems = [unknown.format(filter=chip.title, value=chip.label) for chip in cl.chips if not chip.known]
            asked = set(filter(None, request.GET.get(COLUMNS_VAR, "").split(",")))
            no_column = _("This list has no column “{name}” that you may see.")
            problems += [no_column.format(name=name[:60]) for name in sorted(asked - set(self.columns_of(request)))]
            if ERROR_FLAG in request.GET:
                problems.append(_("The address had a part that this list does not know. All rows are shown."))
            for problem in [*cl.problems, *problems]:
                messages.warning(request, problem)
        return response

    def columns_of(self, request: HttpRequest) -> dict[str, ListColumn]:
        """The columns that this reader may see: first those of `list_display`, then the others."""
        known = {column.name: column for column in self.columns}
        ordered = [known[name] for name in dict.fromkeys((*map(str, self.list_display), *known))]
        return {
            column.name: column
            for column in ordered
            if not column.permission or request.user.has_perm(column.permission)
        }

    def label_of(self, column: ListColumn) -> str:
        return capfirst(str(getattr(getattr(self, column.name), "short_description", "") or column.label))

    @property
    def of_list(self) -> str:
        """The name of the list, e.g. in the names of its addresses."""
        return f"{self.model._meta.app_label}_{self.model._meta.model_name}"

    def known_columns(self, request: HttpRequest, names: Iterable[str]) -> list[str]:
        """The columns among `names` that this reader may see, each once.

        The first column of the list stays the first.
        """
        known, first = self.columns_of(request), str(self.list_display[0])
        return [first, *dict.fromkeys(name for name in names if name in known and name != first)]

    def get_list_display(self, request: HttpRequest) -> list[str]:
        """The columns of the address, else those that the account has chosen, else the default ones."""
        asked = request.GET.get(COLUMNS_VAR, "")
        wanted = asked.split(",") if asked else self._chosen(request) or map(str, self.list_display)
        return self.known_columns(request, wanted)

    def _chosen(self, request: HttpRequest) -> list[str]:
        """The columns that the account has chosen; read once for a page."""
        known: dict[str, list[str]] = request.__dict__.setdefault("chosen_columns", {})
        if self.of_list not in known:
            rows = ListColumns.objects.filter(user=request.user.pk, name=self.of_list)
            known[self.of_list] = list(rows.values_list("columns", flat=True).first() or ())
        return known[self.of_list]

    def chooser(self, request: HttpRequest) -> list[dict[str, Any]]:
        """The entries of the menu *Columns*: all columns, first the shown ones in their order."""
        known, shown = self.columns_of(request), self.get_list_display(request)
        return [
            {"name": name, "label": self.label_of(known[name]), "is_shown": name in shown, "is_first": name == shown[0]}
            for name in dict.fromkeys((*shown, *known))
        ]

    def sortable_columns(self, request: HttpRequest) -> list[str]:
        return [name for name in self.columns_of(request) if getattr(getattr(self, name), "admin_order_field", None)]

    def shown_columns(self, request: HttpRequest) -> list[Column]:
        """The columns of a file that has exactly what the list shows."""
        known = self.columns_of(request)
        return flat(known[name] for name in self.get_list_display(request))

    def fill_cells(self, rows: Iterable[Any], names: Iterable[str]) -> None:
        """Write the cells without a method of their own, for all rows of a page at once."""
        plain = [name for name in names if name in self.plain]
        columns = {column.name: column.for_file() for column in self.columns if column.name in plain}
        for row in rows if columns else ():
            row.plain_cells = {name: _cell([value(row) for _, value in made]) for name, made in columns.items()}


def choose_columns(user: User, of_list: str, columns: Sequence[str]) -> None:
    """Store the columns for this account. An empty choice brings the default columns back."""
    if columns:
        ListColumns.objects.update_or_create(user=user, name=of_list, defaults={"columns": [*columns]})
    else:
        ListColumns.objects.filter(user=user, name=of_list).delete()


def _refuse_field(model: type[Model], name: str) -> None:
    """Refuse a column with the name of a field: Django would show the field, and not the column."""
    try:
        model._meta.get_field(name)
    except FieldDoesNotExist:
        return
    raise ImproperlyConfigured(f"{model.__name__}: the column {name} needs another name than the field.")


def _cell_of(column: ListColumn) -> Callable[[Any], SafeString | str]:
    def cell(row: Any) -> SafeString | str:
        return row.plain_cells[column.name]

    header = column.label or column.for_file()[0][0]
    cell.short_description = header  # type: ignore[attr-defined]  # read by the admin
    cell.admin_order_field = column.ordering or None  # type: ignore[attr-defined]  # read by the admin
    return cell


def _cell(values: Sequence[object]) -> SafeString | str:
    texts = [_text(value) for value in values if value not in (None, "")]
    if len(texts) > 1:
        return two_lines(texts[0], " · ".join(texts[1:]))
    if texts and len(texts[0]) > LONG:
        return format_html('<span class="lh-sentence">{}</span>', texts[0])
    return texts[0] if texts else EMPTY


def _text(value: object) -> str:
    if isinstance(value, datetime):
        return day_and_time(value)
    if isinstance(value, date):
        return day(value)
    return number(value) if isinstance(value, int) and not isinstance(value, bool) else str(value)
