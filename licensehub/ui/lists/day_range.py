"""The filter of a list by the days of a moment: both days count, as whole days in the time zone of the reader."""

from __future__ import annotations

from datetime import date, datetime, time, timedelta
from typing import Any

from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils import timezone
from django.utils.dateparse import parse_date
from unfold.contrib.filters.admin import RangeDateFilter


class DayRangeFilter(RangeDateFilter):
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
