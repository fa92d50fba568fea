"""The filters of a list: a chip for each that is active, how many rows each choice has, and a filter by days."""

from __future__ import annotations

from collections.abc import Iterator
from copy import copy
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from typing import Any, ClassVar
from urllib.parse import urlencode

from django.contrib.admin import (
    BooleanFieldListFilter,
    ChoicesFieldListFilter,
    DateFieldListFilter,
    FieldListFilter,
    RelatedFieldListFilter,
    SimpleListFilter,
)
from django.contrib.admin.views.main import SEARCH_VAR
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils import timezone
from django.utils.dateparse import parse_date
from django.utils.text import capfirst
from django.utils.translation import gettext as _
from unfold.contrib.filters.admin import RangeDateFilter

from licensehub.ui.lists.counts import capped_each, whole_table

# Choices are counted in lists of at most so many rows. In a longer one, a choice with few rows reads the whole table.
MAX_COUNTED = 20_000


@dataclass(frozen=True, slots=True)
class Chip:
    """An active filter. `url` is the list without it. `known` is False for a value that is no choice of the filter."""

    title: str
    label: str
    url: str
    known: bool = True


def chips(cl: Any) -> list[Chip]:
    """The search and the active filters, in their order."""
    search = cl.query.strip()
    found = [Chip(_("Search"), f"“{search}”", cl.get_query_string(remove=[SEARCH_VAR]))] if search else []
    for spec in cl.filter_specs:
        given = {name: cl.filter_params[name][-1] for name in spec.expected_parameters() if name in cl.filter_params}
        given = {name: str(value) for name, value in given.items() if value}
        if given:
            labels, known = _labels(spec, given)
            url = cl.get_query_string(remove=spec.expected_parameters())
            found.append(Chip(capfirst(str(spec.title)), labels, url, known))
    for name in set(cl.get_filters_params()) - expected_parameters(cl):
        # A condition that only an address can have, e.g. of a link from another page.
        field = name.partition("__")[0].replace("_", " ")
        label = str(cl.filter_params[name][-1])[:200]
        found.append(Chip(capfirst(field), label, cl.get_query_string(remove=[name])))
    return found


def expected_parameters(cl: Any) -> set[str]:
    return {name for spec in cl.filter_specs for name in spec.expected_parameters()}


def choices_of(spec: Any) -> list[tuple[str, str]]:
    """Value and label of each choice, without the one for all; empty for a filter of dates."""
    if isinstance(spec, BooleanFieldListFilter):
        return [("1", _("Yes")), ("0", _("No"))]
    if isinstance(spec, ChoicesFieldListFilter):
        return [(str(value), str(label)) for value, label in spec.field.flatchoices]
    if hasattr(spec, "all_values"):
        return [(value, value) for value in spec.all_values()]
    if isinstance(spec, SimpleListFilter | RelatedFieldListFilter):
        return [(str(value), str(label)) for value, label in spec.lookup_choices]
    return []


def _labels(spec: Any, given: dict[str, str]) -> tuple[str, bool]:
    if isinstance(spec, DateFieldListFilter):
        links = {urlencode(sorted(parameters.items())): str(title) for title, parameters in spec.links}
        return links.get(urlencode(sorted(given.items())), " – ".join(given.values())), True
    if any(name.endswith("__isnull") for name in given):
        return _("None"), True
    if not isinstance(spec, SimpleListFilter) and not choices_of(spec):
        return " – ".join(given.values()), True
    # A filter with very many values knows only the chosen one by itself.
    labels = (
        {str(value): str(label) for value, label in spec.lookup_choices}
        if isinstance(spec, SimpleListFilter)
        else dict(choices_of(spec))
    )
    [value, *_others] = given.values()
    if value in labels:
        return labels[value], True
    # Some filters take several values.
    values = value.split(",")
    return ", ".join(labels.get(one, one) for one in values)[:200], all(one in labels for one in values)


def choice_counts(cl: Any) -> dict[str, dict[str, str]]:
    """The parameter of each filter -> value -> the number of rows under the search and the other filters.

    Without numbers where counting would take long, and where the address narrows the list in another way: a number
    would be wrong.
    """
    if set(cl.get_filters_params()) - expected_parameters(cl) or whole_table(cl.root_queryset).number > MAX_COUNTED:
        offered = {spec.parameter_name: spec.all_values() for spec in cl.filter_specs if hasattr(spec, "all_values")}
        return {name: dict.fromkeys(values, "") for name, values in offered.items()}
    asked = {
        (spec.expected_parameters()[0], value): rows
        for spec in cl.filter_specs
        for value, rows in _by_choice(cl, spec, _without(cl, spec))
    }
    counted = capped_each({str(number): rows for number, rows in enumerate(asked.values())})
    found: dict[str, dict[str, str]] = {}
    for (name, value), count in zip(asked, counted.values(), strict=True):
        found.setdefault(name, {})[value] = str(count)
    return found


def _without(cl: Any, spec: Any) -> QuerySet[Any]:
    """The rows of the list as if this filter were not active."""
    rows: QuerySet[Any] = cl.root_queryset
    for other in cl.filter_specs:
        if other is not spec:
            narrowed = other.queryset(cl.request, rows)
            rows = rows if narrowed is None else narrowed
    if cl.query:
        rows, _distinct = cl.model_admin.get_search_results(cl.request, rows, cl.query)
    return cl.in_tab(rows)


def _by_choice(cl: Any, spec: Any, rows: QuerySet[Any]) -> Iterator[tuple[str, QuerySet[Any]]]:
    for value, _label in choices_of(spec):
        if isinstance(spec, SimpleListFilter):
            chosen: Any = copy(spec)
            chosen.used_parameters = {spec.parameter_name: value}
            yield value, chosen.queryset(cl.request, rows)
        else:
            yield value, rows.filter(**{spec.lookup_kwarg: value})


class NamedFilter(FieldListFilter):
    """Put before the class of a filter, to give it another name than that of its field."""

    # A text, or a lazy one.
    name: ClassVar[Any]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.title = self.name


class DayRangeFilter(RangeDateFilter):
    """The days of a moment: both days count, as whole days in the time zone of the reader."""

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        """A text that is no day finds no rows. All rows would be dangerous: the list says that it is filtered."""
        try:
            first, last = (self._day(edge) for edge in ("from", "to"))
        except ValueError:
            return queryset.none()
        if first:
            queryset = queryset.filter(**{f"{self.field_path}__gte": _midnight(first)})
        if last:
            queryset = queryset.filter(**{f"{self.field_path}__lt": _midnight(last + timedelta(days=1))})
        return queryset

    def _day(self, edge: str) -> date | None:
        value = str(self.used_parameters.get(f"{self.field_path}_{edge}", ""))
        found = parse_date(value) if value else None
        if value and (found is None or not 1900 < found.year < 2200):
            raise ValueError(value)
        return found


def _midnight(day: date) -> datetime:
    return datetime.combine(day, time.min, tzinfo=timezone.get_current_timezone())
