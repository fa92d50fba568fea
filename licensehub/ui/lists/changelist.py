"""The change list of all long lists: pages by key, capped counts, and only orders that an index has."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any
from urllib.parse import urlencode

from django.contrib.admin.options import IncorrectLookupParameters
from django.contrib.admin.views.main import ORDER_VAR, PAGE_VAR
from django.core.exceptions import ImproperlyConfigured
from django.core.paginator import Paginator
from django.db import DataError
from django.db.models import F, Model, QuerySet
from django.db.models.expressions import OrderBy
from django.http import HttpRequest
from django.utils.functional import cached_property
from django.utils.text import capfirst
from django.utils.translation import gettext as _
from unfold.views import ChangeList

from licensehub.ui.lists import filters
from licensehub.ui.lists.address import COLUMNS_VAR, VIEW_VAR
from licensehub.ui.lists.counts import Count, capped, whole_table
from licensehub.ui.lists.paging import keyset, position
from licensehub.ui.lists.search_results import AFTER, BEFORE, FIRST, LAST, Matches, fetch_matches, page_of

# Django lets an address ask for them. One can be written that takes the database for ever.
REGEX = re.compile("__i?regex$")
# Columns that no page shows. With "begins with", an address could ask for one character after the other.
SECRET = re.compile("(^|__)(password|ciphertext|token)(__|$)")
# Parameters of an address that are no filters.
OURS = (COLUMNS_VAR, VIEW_VAR)


class Pages(Paginator):
    """Makes unfold draw our links instead of page numbers, because the number of pages is not known."""

    template_name = "admin/pagination.html"

    def get_elided_page_range(self, *args: Any, **kwargs: Any) -> Any:
        return ()


class NamedChangeList(ChangeList):
    """Its title is its name in the menu. Django's title would say what to select."""

    def __init__(self, request: HttpRequest, *args: Any, **kwargs: Any) -> None:
        self.request = request
        self._addresses: dict[str, str] = {}
        # Sentences about an address that the list does not understand.
        self.problems: list[str] = []
        # The column by which the list is sorted, and whether the largest value comes first.
        self.sorted_by: tuple[str, bool] = ("", False)
        try:
            super().__init__(request, *args, **kwargs)
        except (OverflowError, DataError) as error:
            # A value that no column has, e.g. a number of 40 digits.
            raise IncorrectLookupParameters from error
        self.title = capfirst(self.opts.verbose_name_plural)

    def in_tab(self, rows: QuerySet[Any]) -> QuerySet[Any]:
        """A list in tabs narrows these rows to the tab that is shown."""
        return rows

    @property
    def chips(self) -> list[filters.Chip]:
        return filters.chips(self)

    def get_filters(self, request: HttpRequest) -> Any:
        """The filters of the address, without secrets, and without regular expressions: a wrong one is an error of the
        database.
        """
        if any(REGEX.search(name) or SECRET.search(name) for name in self.params):
            raise IncorrectLookupParameters
        return super().get_filters(request)

    def get_filters_params(self, params: Any = None) -> dict[str, Any]:
        return {name: value for name, value in super().get_filters_params(params).items() if name not in OURS}

    def get_query_string(self, new_params: Any = None, remove: Any = None) -> str:
        """The address of this list with other parameters.

        A name in `remove` that ends with `_` removes each parameter that begins with it. Other names are compared as a
        whole, where Django would compare the beginning. The results are kept: unfold asks for the same ones in each
        row.
        """
        asked = repr((new_params, remove))
        if asked not in self._addresses:
            self._addresses[asked] = self._query_string(new_params, remove)
        return self._addresses[asked]

    def _query_string(self, new_params: Any, remove: Any) -> str:
        given = dict(self.filter_params)
        for removed in remove or ():
            for name in list(given):
                if name == removed or (removed.endswith("_") and name.startswith(removed)):
                    del given[name]
        given |= new_params or {}
        if ORDER_VAR in (new_params or {}):
            given[ORDER_VAR] = self._by_name(str(given[ORDER_VAR] or ""))
        left = {name: value for name, value in given.items() if value is not None and (name, value) != (ORDER_VAR, "")}
        if set(left) == {VIEW_VAR}:
            # This address alone would open the view again, with its filters.
            left = {}
        return f"?{urlencode(sorted(left.items()), doseq=True)}"

    def _by_name(self, order: str) -> str:
        """The headers name columns by their number. The address has names, since each reader chooses the columns."""
        first = order.split(".")[0]
        number = first.removeprefix("-")
        if not number.isdecimal():
            return order
        return f"{'-' if first.startswith('-') else ''}{self.list_display[int(number)]}"

    def order_terms(self, request: HttpRequest) -> list[Any]:
        """The order that the address names, e.g. `o=-activity`, else the default order of the list."""
        name, descending = self._asked_order()
        if name:
            self.sorted_by = (name, descending)
            return [f"{'-' if descending else ''}{self.get_ordering_field(name)}"]
        terms = list(self.model_admin.get_ordering(request) or self._get_default_ordering())
        self.sorted_by = self._column_of(terms[0]) if terms else ("", False)
        return terms

    def _asked_order(self) -> tuple[str, bool]:
        """The column that the address asks for, which need not be shown, and whether the order is descending."""
        asked = str(self.params.get(ORDER_VAR, ""))
        name = asked.removeprefix("-")
        if name in self.model_admin.sortable_columns(self.request):
            return name, asked.startswith("-")
        if asked:
            self.problems.append(_("This list cannot be sorted by “{name}”.").format(name=name[:60]))
        return "", False

    def _column_of(self, term: Any) -> tuple[str, bool]:
        """The column of a default order."""
        if not isinstance(term, str):
            return "", False
        field = term.removeprefix("-")
        names = [name for name in self.list_display if self.get_ordering_field(name) == field]
        return (names[0], term.startswith("-")) if names else ("", False)

    def get_ordering_field_columns(self) -> dict[int, str]:
        """The place of the sorted column in the list, and its direction; the headers show them."""
        name, descending = self.sorted_by
        return {self.list_display.index(name): "desc" if descending else "asc"} if name in self.list_display else {}


class PagedChangeList(NamedChangeList):
    """The address names the row that the page follows or precedes: `p=after-…`, `p=before-…`, `p=last`.

    A list may override `matches`, `count` and `count_filtered`. get_results() calls each of them at most once.
    """

    order: keyset.Order
    found: Matches | None
    page: keyset.Page
    counted: Count
    preserved_filters: str
    way_back: str

    def get_ordering(self, request: HttpRequest, queryset: QuerySet[Any]) -> list[OrderBy]:
        """Orders by one column, without the further columns that Django would add."""
        related = self.model_admin.related_orders
        order = order_of(self.order_terms(request), self.model, related)
        self.order = replace(order, optional=order.column in related and self.model_admin.may_lack_related())
        return self.order.terms()

    def get_results(self, request: HttpRequest) -> None:
        self.found = self.matches()
        try:
            self.page = self._page(str(request.GET.get(PAGE_VAR, "")))
        except keyset.InvalidCursor as error:
            raise IncorrectLookupParameters from error
        # By key from the whole table with its related rows: filters and search need not run a second time.
        rows: QuerySet[Any] = self.root_queryset
        rows = rows if rows.query.select_related else self.apply_select_related(rows)
        if related := self.order.column.rpartition("__")[0]:
            # The links to other pages have the values of the order.
            rows = rows.select_related(related)
        self.result_list = keyset.rows_of(rows, self.page.keys)
        self.counted = self.count()
        self.result_count = self.full_result_count = self.counted.number
        self.show_full_result_count = False
        self.model_admin.fill_cells(self.result_list, self.list_display)
        self.show_admin_actions = bool(self.result_list)
        self.can_show_all = False
        self.multi_page = self.page.has_previous or self.page.has_next
        self.paginator = Pages((), self.list_per_page)
        self.way_back, self.preserved_filters = self.preserved_filters, ""

    def url_for_result(self, result: Model) -> str:
        """The address of the page of a row, with the filters of this list."""
        before, after = self._around_key
        return f"{before}{result.pk}{after}"

    @cached_property
    def _around_key(self) -> tuple[str, str]:
        """The address of the page of a row before and after its key. Django would resolve it for each row."""
        row = self.result_list[0]
        before, _key, after = str(super().url_for_result(row)).rpartition(str(row.pk))
        return before, f"{after}?{self.way_back}" if self.way_back else after

    def matches(self) -> Matches | None:
        """The rows that the search finds; None to read the page in the order of the list, as without a search."""
        return fetch_matches(self.queryset, self.order) if self.query else None

    def count(self) -> Count:
        """The number of rows in the list."""
        if self.found:
            return Count(len(self.found.rows), exact=self.found.are_all)
        if not self.page.has_previous and not self.page.has_next:
            return Count(len(self.page.keys))
        return self.count_filtered() if self.queryset.query.where else whole_table(self.queryset)

    def count_filtered(self) -> Count:
        """The number of rows under filters. An estimate suffices only where no action can take all of them."""
        return capped(self.queryset)

    def _page(self, wanted: str) -> keyset.Page:
        direction, place = self._direction(wanted)
        rows, order, size = self.queryset, self.order, self.list_per_page
        if self.found and self.found.are_all:
            keys = [pk for pk, *_ in self.found.rows]
            # If the row of the cursor left the list meanwhile, its values still have a place in the order.
            if place is None or place.pk in keys:
                return page_of(keys, direction, place, size)
        if place:
            return (keyset.after if direction == AFTER else keyset.before)(rows, order, place, size)
        return (keyset.last if direction == LAST else keyset.first)(rows, order, size)

    def _direction(self, wanted: str) -> tuple[str, keyset.Cursor | None]:
        """The direction that the address asks for, and the row that the page begins at. Raises InvalidCursor."""
        for direction in (AFTER, BEFORE):
            if wanted.startswith(direction):
                return direction, keyset.Cursor.read(wanted.removeprefix(direction), self.order)
        if wanted in ("", "1", LAST):
            return LAST if wanted == LAST else FIRST, None
        raise keyset.InvalidCursor(wanted)

    @cached_property
    def position(self) -> str:
        """The rows that the page shows: `51-100 of 1,240 events`. A template asks for it twice."""
        return position.sentence(self)

    @property
    def links(self) -> list[dict[str, str]]:
        """The links to other pages. The address is empty where there is no such page."""
        rows, page = self.result_list, self.page
        previous = self._address(BEFORE, rows[0]) if rows and page.has_previous else ""
        following = self._address(AFTER, rows[-1]) if rows and page.has_next else ""
        return [
            {"label": _("First"), "icon": "first_page", "url": self.get_query_string() if page.has_previous else ""},
            {"label": _("Previous"), "icon": "chevron_left", "url": previous},
            {"label": _("Next"), "icon": "chevron_right", "url": following},
            {
                "label": _("Last"),
                "icon": "last_page",
                "url": self.get_query_string({PAGE_VAR: LAST}) if following else "",
            },
        ]

    def _address(self, direction: str, row: Model) -> str:
        return str(self.get_query_string({PAGE_VAR: direction + self.order.place_of(row).token()}))


def order_of(ordering: Sequence[Any], model: type[Model], related: Mapping[str, str]) -> keyset.Order:
    """The order of the first term. Raises ImproperlyConfigured if no index is known to have it.

    `related` are the columns of other tables that have one, each with its key: see `keyset.Order`.
    """
    term = ordering[0]
    if isinstance(term, str):
        column, descending = term.removeprefix("-"), term.startswith("-")
    elif isinstance(term, OrderBy) and isinstance(term.expression, F):
        column, descending = str(term.expression.name), term.descending  # type: ignore[attr-defined]  # always an F()
    else:
        raise ImproperlyConfigured(f"{model.__name__}: a long list is ordered by a column, not by {term!r}.")
    if "__" in column and column not in related:
        raise ImproperlyConfigured(f"{model.__name__}: a long list is ordered by a column of its own, not {column}.")
    return keyset.Order(model, column, descending, related.get(column, "pk"))
