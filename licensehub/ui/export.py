"""Export: exactly the rows of a list with its search, tab and filters, as CSV or for Excel."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, ClassVar

from django.contrib.admin.options import IncorrectLookupParameters
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponseRedirect
from django.http.response import HttpResponseBase
from django.urls import URLPattern, path, reverse
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _
from unfold.admin import ModelAdmin

from licensehub.ui import csv_file, xlsx_file
from licensehub.ui.lists import keyset
from licensehub.ui.lists.changelist import PagedChangeList

# The header, marked for translation, and the value of a row.
Column = tuple[str | Promise, Callable[[Any], object]]

CHUNK = 2000
# The form in the address -> the label of its link. A spreadsheet splits CSV by the separator of its language.
FORMS = {
    "xlsx": _("Excel (XLSX)"),
    "csv": _("CSV, separated by commas"),
    "csv-semicolon": _("CSV, separated by semicolons"),
    "csv-tab": _("CSV, separated by tabs"),
}
SEPARATORS = {"csv": ",", "csv-semicolon": ";", "csv-tab": "\t"}


def export_response(form: str, columns: Sequence[Column], rows: Iterable[Any], *, name: str) -> HttpResponseBase:
    """A file `name`-<today> in one of the FORMS. Raises Http404 for another form."""
    if form not in FORMS:
        raise Http404
    if form == "xlsx":
        return xlsx_file.response(columns, rows, name=name)
    return csv_file.response(columns, rows, name=name, separator=SEPARATORS[form])


def _rows(shown: Any, fields: Sequence[str]) -> Iterable[Any]:
    """Reads a list by key, if it has keys. For a cursor, PostgreSQL would first write the whole result to disk."""
    if not isinstance(shown, PagedChangeList):
        return shown.queryset.iterator(chunk_size=CHUNK)
    if fields:
        return keyset.walk_columns(shown.queryset, shown.order, CHUNK, fields)
    return keyset.walk(shown.queryset, shown.order, CHUNK)


class ExportMixin(ModelAdmin):
    """Adds *Export* to a list. `export_columns` names the columns: (header, function of a row).

    The menu is in templates/admin/change_list_object_tools.html; the address is admin:<app>_<model>_export.
    """

    export_columns: ClassVar[Sequence[Column]] = ()
    # For millions of rows: the fields that the columns need. Their functions then get these instead of an object.
    export_fields: ClassVar[Sequence[str]] = ()
    export_forms = FORMS

    def columns_for(self, request: HttpRequest) -> Sequence[Column]:
        """The columns of one file. A list may add columns here that need a look into another table once."""
        return self.export_columns

    def get_urls(self) -> list[URLPattern]:
        name = f"{self.model._meta.app_label}_{self.model._meta.model_name}_export"
        view = self.admin_site.admin_view(self.export)
        forms = [path("export/", view, {"form": "csv"}, name=name), path("export/<slug:form>/", view, name=name)]
        return [*forms, *super().get_urls()]

    def export(self, request: HttpRequest, form: str) -> HttpResponseBase:
        if not self.has_view_permission(request):
            raise PermissionDenied
        try:
            rows = _rows(self.get_changelist_instance(request), self.export_fields)
        except IncorrectLookupParameters:
            opts = self.model._meta
            return HttpResponseRedirect(reverse(f"admin:{opts.app_label}_{opts.model_name}_changelist"))
        name = str(self.model._meta.verbose_name_plural).replace(" ", "-")
        return export_response(form, self.columns_for(request), rows, name=name)
