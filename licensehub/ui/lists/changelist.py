"""The change list of all long lists: pages by key, capped counts, and only orders that an index has."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.contrib.admin.options import IncorrectLookupParameters
from django.contrib.admin.views.main import PAGE_VAR
from django.core.exceptions import ImproperlyConfigured
from django.core.paginator import Paginator
from django.db.models import F, Model, QuerySet
from django.db.models.expressions import OrderBy
from django.http import HttpRequest
from django.utils.text import capfirst
from django.utils.translation import gettext as _
from unfold.views import ChangeList

from licensehub.ui.lists import keyset
from licensehub.ui.lists.counts import Count, capped, whole_table
from licensehub.ui.lists.search_results import AFTER, BEFORE, FIRST, LAST, Matches, fetch_matches, page_of


class Pages(Paginator):
    """Makes unfold draw our links instead of page numbers, because the number of pages is not known."""

    template_name = "admin/pagination.html"

    def get_elided_page_range(self, *args: Any, **kwargs: Any) -> Any:
        return ()


class NamedChangeList(ChangeList):
    """Its title is its name in the menu. Django's title would say what to select."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.title = capfirst(self.opts.verbose_name_plural)


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
        self.order = order_of(super().get_ordering(request, queryset), self.model)
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
        self.result_list = keyset.rows_of(rows, self.page.keys)
        self.counted = self.count()
        self.result_count = self.full_result_count = self.counted.number
        self.show_full_result_count = False
        self.show_admin_actions = bool(self.result_list)
        self.can_show_all = False
        self.multi_page = self.page.has_previous or self.page.has_next
        self.paginator = Pages((), self.list_per_page)
        self.way_back, self.preserved_filters = self.preserved_filters, ""

    def url_for_result(self, result: Model) -> str:
        """Adds the filters of this list. Django would resolve the address of each row to do so."""
        address = str(super().url_for_result(result))
        return f"{address}?{self.way_back}" if self.way_back else address

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

    @property
    def links(self) -> list[dict[str, str]]:
        """For the template: the links to other pages. The address is empty where there is no such page."""
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


def order_of(ordering: Sequence[Any], model: type[Model]) -> keyset.Order:
    """The order of the first term. Raises ImproperlyConfigured if it is not a column of the table itself."""
    term = ordering[0]
    if isinstance(term, str):
        column, descending = term.removeprefix("-"), term.startswith("-")
    elif isinstance(term, OrderBy) and isinstance(term.expression, F):
        column, descending = str(term.expression.name), term.descending  # type: ignore[attr-defined]
    else:
        raise ImproperlyConfigured(f"{model.__name__}: a long list is ordered by a column, not by {term!r}.")
    if "__" in column:
        raise ImproperlyConfigured(f"{model.__name__}: a long list is ordered by a column of its own, not {column}.")
    return keyset.Order(model, column, descending)
