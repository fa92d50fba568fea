"""Name, department and cost center of a person in lists: orders, a cell, and filters."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from django.contrib.admin import SimpleListFilter
from django.db.models import Model, QuerySet
from django.http import HttpRequest
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from unfold.contrib.filters.forms import SearchForm

from licensehub.ui.admin import LargeTableMixin
from licensehub.ui.formatting import EMPTY, two_lines
from subscriptions.models import RemovalCandidate, SearchText, Subscription
from subscriptions.search import has_all_texts, seen_values

# A filter offers at most so many values. Others can be typed.
MAX_CHOICES = 500
# No department has this name.
NONE = "-"


# The orders by name, department and cost center: of a list of people, and of rows that belong to a person.
ORDERS_OF_PEOPLE = dict.fromkeys(
    ("search__text", "search__department", "search__cost_center"), "search__subscription_id"
)
ORDERS_BY_PERSON = dict.fromkeys((f"subscription__{column}" for column in ORDERS_OF_PEOPLE), "pk")


class OrderByPersonMixin(LargeTableMixin):
    """Put before ModelAdmin."""

    def may_lack_related(self) -> bool:
        return not has_all_texts()


def department_of(row: Subscription) -> SafeString | str:
    """The department, and below it the cost center."""
    if not row.department and not row.cost_center:
        return EMPTY
    return two_lines(row.department or EMPTY, row.cost_center)


class DepartmentFilter(SimpleListFilter):
    """A field to type in, for subscriptions and for rows that belong to one. A script offers the known values."""

    title = gettext_lazy("department")
    parameter_name = "department"
    template = "unfold/filters/filters_field.html"

    def __init__(self, request: HttpRequest, params: dict[str, Any], model: type[Model], model_admin: Any) -> None:
        self.person = "" if issubclass(model, Subscription) else "subscription__"
        self.copy = f"person_{self.parameter_name}" if model is RemovalCandidate else ""
        super().__init__(request, params, model, model_admin)

    def value(self) -> str | None:
        """The chosen value, without NUL characters: PostgreSQL refuses them."""
        return (super().value() or "").replace("\0", "") or None

    def lookups(self, request: HttpRequest, model_admin: Any) -> Sequence[tuple[str, str]]:
        """The chosen value, if somebody has it. The page does not read the other values."""
        value = self.value()
        if not value:
            return []
        if value == NONE:
            return [(NONE, _("None"))]
        known = SearchText.objects.filter(**{self.parameter_name: value}).exists()
        return [(value, value)] if known else []

    def has_output(self) -> bool:
        return True

    def choices(self, changelist: Any) -> Iterator[Any]:
        label = _("By {filter}").format(filter=self.title)
        name = self.parameter_name
        yield {"form": SearchForm(name=name, label=label, data={name: self.value() or ""})}

    def all_values(self) -> list[str]:
        """All values; the script asks for them and offers them."""
        values = seen_values(self.parameter_name, most=MAX_CHOICES)
        return [*values, NONE] if values else []

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        """Filter by the indexed copy in SearchText. It is written some moments after the value that the list shows."""
        value, person, name = self.value(), self.person, self.parameter_name
        if not value:
            return queryset
        if self.copy:
            return queryset.filter(**{self.copy: None if value == NONE else value})
        if value == NONE:
            return queryset.filter(**{f"{person}{name}": ""})
        if not person:
            return queryset.filter(**{f"search__{name}": value})
        # Compares keys directly, without a join of the table of subscriptions.
        people = SearchText.objects.filter(**{name: value}).order_by().values("pk")
        return queryset.filter(subscription__in=people)


class CostCenterFilter(DepartmentFilter):
    title = gettext_lazy("cost center")
    parameter_name = "cost_center"
