"""Export: exactly the rows of a list with its search, tab and filters, as CSV or for Excel."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import timedelta
from itertools import chain, islice
from typing import Any, ClassVar

from django.conf import settings
from django.contrib.admin.options import IncorrectLookupParameters
from django.contrib.auth.models import User
from django.core.exceptions import PermissionDenied
from django.db import transaction
from django.http import Http404, HttpRequest, HttpResponseRedirect
from django.http.response import HttpResponseBase
from django.shortcuts import render
from django.urls import URLPattern, path, reverse
from django.utils import translation
from django.utils.translation import gettext_lazy as _

from licensehub.audit.actions import Action
from licensehub.audit.log import Row, record_rows
from licensehub.audit.models import AuditEvent
from licensehub.database.clock import database_now
from licensehub.ui import csv_file, xlsx_file
from licensehub.ui.csv_file import Column
from licensehub.ui.lists.changelist import PagedChangeList
from licensehub.ui.lists.columns import flat
from licensehub.ui.lists.paging import keyset
from licensehub.ui.lists.view_pages import ViewsMixin

CHUNK = 2000
# What the event of an export is about, and how many characters of the filter it has.
LIST = "list"
MAX_FILTER = 2000
# The form in the address -> the label of its link. A spreadsheet splits CSV by the separator of its language.
FORMS = {
    "xlsx": _("Excel (XLSX)"),
    "csv": _("CSV, separated by commas"),
    "csv-semicolon": _("CSV, separated by semicolons"),
    "csv-tab": _("CSV, separated by tabs"),
}
HOUR = timedelta(hours=1)
SEPARATORS = {"csv": ",", "csv-semicolon": ";", "csv-tab": "\t"}


def export_response(
    request: HttpRequest, form: str, columns: Sequence[Column], rows: Iterable[Any], *, name: str, count: int
) -> HttpResponseBase:
    """A file `name`-<today> in one of the FORMS. Raises Http404 for another form.

    The event is written before the first row is sent: somebody who breaks off has most of the file. The first rows are
    read before it, so that the file of the audit log does not begin with its own export. `count`: the rows.

    An account that has exported EXPORTS_PER_HOUR files in this hour gets a page that says so, with status 429.
    """
    if form not in FORMS:
        raise Http404
    actor = request.user if isinstance(request.user, User) else None
    if _in_this_hour(Action.LIST_EXPORTED, actor) >= settings.EXPORTS_PER_HOUR:
        return _refuse(request, actor, name=name)
    left = iter(rows)
    rows = chain(list(islice(left, CHUNK)), left)
    with transaction.atomic(), translation.override("en"):
        data = {
            "form": form,
            "filter": request.GET.urlencode()[:MAX_FILTER],
            "rows": count,
            "columns": [str(title) for title, _value in columns],
        }
        record_rows(Action.LIST_EXPORTED, actor=actor, rows=[Row(LIST, 0, name, data)])
    if form == "xlsx":
        return xlsx_file.response(columns, rows, name=name)
    return csv_file.response(columns, rows, name=name, separator=SEPARATORS[form])


def _in_this_hour(action: Action, actor: User | None) -> int:
    mine = AuditEvent.objects.filter(action=action, actor_id=actor.pk if actor else None)
    return mine.filter(at__gt=database_now() - HOUR).count()


def _refuse(request: HttpRequest, actor: User | None, *, name: str) -> HttpResponseBase:
    """The page about the limit. The first refusal of an hour is an event."""
    limit = settings.EXPORTS_PER_HOUR
    if not _in_this_hour(Action.LIST_EXPORT_REFUSED, actor):
        with transaction.atomic():
            record_rows(Action.LIST_EXPORT_REFUSED, actor=actor, rows=[Row(LIST, 0, name, {"limit": limit})])
    return render(request, "429.html", {"limit": limit}, status=429)


def _rows(shown: Any, fields: Sequence[str]) -> Iterable[Any]:
    """Reads a list by key, if it has keys. For a cursor, PostgreSQL would first write the whole result to disk."""
    if not isinstance(shown, PagedChangeList):
        return shown.queryset.iterator(chunk_size=CHUNK)
    if fields:
        return keyset.walk_columns(shown.queryset, shown.order, CHUNK, fields)
    return keyset.walk(shown.queryset, shown.order, CHUNK)


class ExportMixin(ViewsMixin):
    """Adds *Export* to a list: the columns that it shows, or all columns that the reader may see. The menu is in
    templates/admin/change_list_object_tools.html. The addresses are admin:<app>_<model>_export for all columns, and
    admin:<app>_<model>_export_shown.
    """

    # For millions of rows: the fields that the columns need. Their functions then get these instead of an object.
    export_fields: ClassVar[Sequence[str]] = ()
    export_forms = FORMS

    def columns_for(self, request: HttpRequest) -> Sequence[Column]:
        """All columns of one file, in the order of `columns`."""
        known = self.columns_of(request)
        return flat(column for column in self.columns if column.name in known)

    def prepare_rows(self, rows: list[Any]) -> None:
        """Read what the columns need from other tables, for some rows of a file at once."""

    def get_urls(self) -> list[URLPattern]:
        name = f"{self.of_list}_export"
        view, shown = self.admin_site.admin_view(self.export), {"shown": True}
        return [
            path("export/", view, {"form": "csv"}, name=name),
            path("export/<slug:form>/", view, name=name),
            path("export/shown/<slug:form>/", view, shown, name=f"{name}_shown"),
            *super().get_urls(),
        ]

    def export(self, request: HttpRequest, form: str, shown: bool = False) -> HttpResponseBase:
        if not self.has_view_permission(request):
            raise PermissionDenied
        try:
            shown_list: Any = self.get_changelist_instance(request)
            rows, count = self._prepared(_rows(shown_list, self.export_fields)), shown_list.queryset.count()
        except IncorrectLookupParameters:
            opts = self.model._meta
            return HttpResponseRedirect(reverse(f"admin:{opts.app_label}_{opts.model_name}_changelist"))
        columns = self.shown_columns(request) if shown else self.columns_for(request)
        name = str(self.model._meta.verbose_name_plural).replace(" ", "-")
        return export_response(request, form, columns, rows, name=name, count=count)

    def _prepared(self, rows: Iterable[Any]) -> Iterator[Any]:
        left = iter(rows)
        while part := list(islice(left, CHUNK)):
            self.prepare_rows(part)
            yield from part
