"""Export CSV: exactly the rows of a list with its search, tab and filters, as a stream."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import datetime
from itertools import islice
from typing import Any, ClassVar

from django.contrib.admin.options import IncorrectLookupParameters
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect, StreamingHttpResponse
from django.urls import URLPattern, path, reverse
from django.utils import timezone
from unfold.admin import ModelAdmin

from licensehub.ui.lists import keyset
from licensehub.ui.lists.changelist import PagedChangeList

Column = tuple[str, Callable[[Any], object]]

CHUNK = 2000
# Lines sent at once. Sending lines one by one takes longer than making them.
LINES = 500
# A spreadsheet reads a cell that starts like this as a formula, and may run it.
FORMULA = re.compile(r" *[=+\-@\t\r\n|%]")


def harmless(value: object) -> str:
    """The value as a cell: dates in ISO 8601, and no formula."""
    if value is None:
        return ""
    if isinstance(value, datetime):
        return value.isoformat(timespec="seconds")
    text = str(value)
    return f"'{text}" if FORMULA.match(text) else text


def _rows(shown: Any, fields: Sequence[str]) -> Iterable[Any]:
    """Reads a list by key, if it has keys. For a cursor, PostgreSQL would first write the whole result to disk."""
    if not isinstance(shown, PagedChangeList):
        return shown.queryset.iterator(chunk_size=CHUNK)
    if fields:
        return keyset.walk_columns(shown.queryset, shown.order, CHUNK, fields)
    return keyset.walk(shown.queryset, shown.order, CHUNK)


def csv_response(columns: Sequence[Column], rows: Iterable[Any], *, name: str) -> StreamingHttpResponse:
    """A file `name`-<today>.csv, some lines at a time."""
    response = StreamingHttpResponse(_lines(columns, rows), content_type="text/csv; charset=utf-8")
    response["Content-Disposition"] = f'attachment; filename="{name}-{timezone.localdate():%Y-%m-%d}.csv"'
    return response


def _lines(columns: Sequence[Column], rows: Iterable[Any]) -> Iterator[str]:
    values = [value for _, value in columns]
    # Without this mark, Excel misreads letters that are not ASCII.
    yield "\ufeff" + _text([[header for header, _ in columns]])
    left = iter(rows)
    while part := list(islice(left, LINES)):
        yield _text([harmless(value(row)) for value in values] for row in part)


def _text(lines: Iterable[Sequence[str]]) -> str:
    file = io.StringIO()
    csv.writer(file).writerows(lines)
    return file.getvalue()


class CsvExport(ModelAdmin):
    """Adds *Export CSV* to a list. `csv_columns` names the columns: (header, function of a row).

    The button is in templates/admin/change_list_object_tools.html; the address is admin:<app>_<model>_export.
    """

    csv_columns: ClassVar[Sequence[Column]] = ()
    # For millions of rows: the fields that the columns need. Their functions then get these instead of an object.
    csv_fields: ClassVar[Sequence[str]] = ()

    def get_urls(self) -> list[URLPattern]:
        name = f"{self.model._meta.app_label}_{self.model._meta.model_name}_export"
        view = self.admin_site.admin_view(self.export_csv)
        return [path("export/", view, name=name), *super().get_urls()]

    def export_csv(self, request: HttpRequest) -> HttpResponse | StreamingHttpResponse:
        if not self.has_view_permission(request):
            raise PermissionDenied
        try:
            rows = _rows(self.get_changelist_instance(request), self.csv_fields)
        except IncorrectLookupParameters:
            opts = self.model._meta
            return HttpResponseRedirect(reverse(f"admin:{opts.app_label}_{opts.model_name}_changelist"))
        name = str(self.model._meta.verbose_name_plural).replace(" ", "-")
        return csv_response(self.csv_columns, rows, name=name)
