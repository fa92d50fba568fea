"""The rows of History, with what each seat that was taken cost on its day."""

from __future__ import annotations

from datetime import date
from typing import Any

from django.db.models import OuterRef, QuerySet
from django.db.models.functions import TruncDate
from django.http import HttpRequest
from django.utils import timezone

from licensehub.ui.lists.changelist import PagedChangeList
from licensehub.ui.time_zones import company_day
from subscriptions.models import Direction, Reclaim, ReclaimState
from subscriptions.money.beside import price_on, yearly
from subscriptions.money.prices import Money


class HistoryList(PagedChangeList):
    def get_results(self, request: HttpRequest) -> None:
        """Read the prices with the rows of the page."""
        day = TruncDate("finished_at", tzinfo=timezone.get_default_timezone())
        price = price_on(OuterRef("finished_on"), license="license")
        rows: QuerySet[Any] = self.root_queryset  # type: ignore[has-type]  # of ChangeList
        self.root_queryset = rows.annotate(finished_on=day).annotate(price=price)
        super().get_results(request)
        for row in self.result_list:
            cost = yearly(row.price) if seat_of(row) else None
            row.cost = str(Money({cost[1]: cost[0]})) if cost else ""


def seat_of(row: Reclaim) -> tuple[int, str, date] | None:
    """The seat that a verified reclaim took, on the day on which it was read back."""
    if row.direction != Direction.DEACTIVATE or row.state != ReclaimState.DONE or row.finished_at is None:
        return None
    return row.profile_id, row.license, company_day(row.finished_at)
