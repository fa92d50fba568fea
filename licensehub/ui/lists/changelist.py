"""The change list of all long lists: pages by key, counts that stop, and an order that an index has."""

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
from unfold.views import ChangeList

from licensehub.ui.lists import keyset
from licensehub.ui.lists.counts import Count, capped, whole_table
from licensehub.ui.lists.search_results import AFTER, BEFORE, FIRST, LAST, Matches, fetch_matches, page_of


class Pages(Paginator):
    """For unfold's templates: it draws ours instead of numbers, which nobody can count to."""

    template_name = "admin/pagination.html"

    def get_elided_page_range(self, *args: Any, **kwargs: Any) -> Any:
        return ()


class NamedChangeList(ChangeList):
    """Its title is its name in the menu. Django's title tells what to select."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.title = capfirst(self.opts.verbose_name_plural)


class PagedChangeList(NamedChangeList):
    """The address says behind or before which row the page begins: `p=after-…`, `p=before-…`, `p=last`."""

    order: keyset.Order
    found: Matches | None
    page: keyset.Page
    counted: Count
    preserved_filters: str
    way_back: str

    def get_ordering(self, request: HttpRequest, queryset: QuerySet[Any]) -> list[OrderBy]:
        """By one column, whatever else Django would add."""
        self.order = order_of(super().get_ordering(request, queryset), self.model)
        return self.order.terms()

    def get_results(self, request: HttpRequest) -> None:
        self._search()
        try:
            self.page = self._page(str(request.GET.get(PAGE_VAR, "")))
        except keyset.InvalidCursor as error:
            raise IncorrectLookupParameters from error
        # Those whose keys are known need not be filtered and searched for again.
        self.result_list = keyset.rows_of(self._whole(), self.page.keys)
        self.counted = self._count()
        self.result_count = self.full_result_count = self.counted.number
        self.show_full_result_count = False
        self.show_admin_actions = bool(self.result_list)
        self.can_show_all = False
        self.multi_page = self.page.has_previous or self.page.has_next
        self.paginator = Pages((), self.list_per_page)
        self.way_back, self.preserved_filters = self.preserved_filters, ""

    def url_for_result(self, result: Model) -> str:
        """With the way back to this list. Django would look up the view behind each address to put it together."""
        address = str(super().url_for_result(result))
        return f"{address}?{self.way_back}" if self.way_back else address

    def _search(self) -> None:
        """What a search finds is looked for once, for the page and for its number."""
        self.found = fetch_matches(self.queryset, self.order) if self.query else None

    def _page(self, wanted: str) -> keyset.Page:
        turn, place = self._turn(wanted)
        rows, order, size = self.queryset, self.order, self.list_per_page
        if self.found and self.found.are_all:
            keys = self._keys(self.found)
            # A row that left the list meanwhile is in no list of keys, and still has its place in the order.
            if place is None or place.pk in keys:
                return page_of(keys, turn, place, size)
        if place:
            return (keyset.after if turn == AFTER else keyset.before)(rows, order, place, size)
        return (keyset.last if turn == LAST else keyset.first)(rows, order, size)

    def _keys(self, found: Matches) -> list[Any]:
        return [pk for pk, *_ in found.rows]

    def _turn(self, wanted: str) -> tuple[str, keyset.Cursor | None]:
        for turn in (AFTER, BEFORE):
            if wanted.startswith(turn):
                return turn, keyset.Cursor.read(wanted.removeprefix(turn), self.order)
        if wanted in ("", "1", LAST):
            return LAST if wanted == LAST else FIRST, None
        raise keyset.InvalidCursor(wanted)

    def _whole(self) -> QuerySet[Any]:
        """All rows, with what belongs to them."""
        rows: QuerySet[Any] = self.root_queryset
        return rows if rows.query.select_related else self.apply_select_related(rows)

    def _count(self) -> Count:
        """Who searched has counted already, as far as there is a count."""
        if self.found:
            return Count(len(self.found.rows), exact=self.found.are_all)
        if not self.page.has_previous and not self.page.has_next:
            return Count(len(self.page.keys))
        return self._count_filtered() if self.queryset.query.where else whole_table(self.queryset)

    def _count_filtered(self) -> Count:
        return capped(self.queryset)

    @property
    def steps(self) -> list[dict[str, str]]:
        """For the template: where one can go from here; without an address where there is nothing."""
        rows, page = self.result_list, self.page
        back = self._step(BEFORE, rows[0]) if rows and page.has_previous else ""
        on = self._step(AFTER, rows[-1]) if rows and page.has_next else ""
        return [
            {"label": "First", "icon": "first_page", "url": self.get_query_string() if page.has_previous else ""},
            {"label": "Previous", "icon": "chevron_left", "url": back},
            {"label": "Next", "icon": "chevron_right", "url": on},
            {"label": "Last", "icon": "last_page", "url": self.get_query_string({PAGE_VAR: LAST}) if on else ""},
        ]

    def _step(self, direction: str, row: Model) -> str:
        return str(self.get_query_string({PAGE_VAR: direction + self.order.place_of(row).token()}))


def order_of(ordering: Sequence[Any], model: type[Model]) -> keyset.Order:
    """The order that the first term asks for. Raises ImproperlyConfigured for one that no index of the table has."""
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
