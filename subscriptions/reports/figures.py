"""The figures of a month: of each profile, and in it of each department and cost center.

Seats, candidates and requests are counted when the figures are made. Reclaims and restores are those of the month.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any

from django.db.models import Count, Q, QuerySet

from integrations.models import IntegrationProfile, ProfileState
from licensehub.ui.time_zones import company_day, company_midnight
from subscriptions.eligibility.terms import terms_of
from subscriptions.models import (
    Direction,
    DownloadRun,
    Price,
    Reclaim,
    ReclaimState,
    RemovalCandidate,
    Subscription,
    Verdict,
)
from subscriptions.models.reclaims.request import WAITING
from subscriptions.models.subscription import HELD
from subscriptions.money.prices import PriceList
from subscriptions.money.savings import Ledger, Stage
from subscriptions.stats import profile_stats

# (department, cost center, currency). A line without a currency has counts, and no amounts.
Place = tuple[str, str, str]


@dataclass(slots=True)
class Line:
    """A department and cost center in one currency. Amounts are per year; `saved` is verified minus bought again."""

    seats: int = 0
    inactive: int = 0
    amount: Decimal = Decimal(0)
    reclaimed: int = 0
    again: int = 0
    restored: int = 0
    saved: Decimal = Decimal(0)

    def to_json(self, place: Place) -> dict[str, Any]:
        department, center, currency = place
        words = {"department": department, "cost_center": center, "currency": currency}
        amounts = {"amount": str(self.amount), "saved": str(self.saved)}
        counts = {"seats": self.seats, "inactive": self.inactive}
        acts = {"reclaimed": self.reclaimed, "again": self.again, "restored": self.restored}
        return {**words, **counts, **acts, **amounts}


@dataclass(slots=True)
class _Month:
    """The lines of one profile while they are counted."""

    profile: IntegrationProfile
    first: datetime
    end: datetime
    prices: PriceList
    lines: dict[Place, Line] = field(default_factory=dict)

    def line(self, department: str, center: str, price: Price | None) -> Line:
        return self.lines.setdefault((department, center, price.currency if price else ""), Line())


def first_of(day: date) -> date:
    return day.replace(day=1)


def month_before(month: date) -> date:
    return first_of(month - timedelta(days=1))


def month_after(month: date) -> date:
    return first_of(month + timedelta(days=32))


def profiles_of(month: date) -> QuerySet[IntegrationProfile]:
    """The profiles in use, and the archived ones that took or restored a seat in this month."""
    first, end = company_midnight(month), company_midnight(month_after(month))
    done = Reclaim.objects.filter(state=ReclaimState.DONE, finished_at__gte=first, finished_at__lt=end)
    in_use = ~Q(state=ProfileState.ARCHIVED)
    return IntegrationProfile.objects.filter(in_use | Q(pk__in=done.order_by().values("profile")))


def figures(profiles: Iterable[IntegrationProfile], month: date) -> list[dict[str, Any]]:
    """The figures of each of these profiles that has a complete download, as JSON."""
    return [found for profile in profiles if (found := _of_profile(profile, month))]


def _of_profile(profile: IntegrationProfile, month: date) -> dict[str, Any] | None:
    last = DownloadRun.objects.with_facts().filter(profile=profile).first()
    if last is None:
        return None
    span = (company_midnight(month), company_midnight(month_after(month)))
    found = _Month(profile, *span, PriceList([profile]))
    stats = profile_stats(profile, last)
    if not profile.is_archived:
        _seats(found, {*stats.paid, *terms_of(profile).licenses})
    _taken(found, Ledger([profile], month.year))
    _restored(found)
    waiting = profile.requests.filter(state__in=WAITING).order_by("requested_at").first()
    return {
        "profile": profile.pk,
        "name": profile.name,
        "archived": profile.is_archived,
        "bought": None if profile.is_archived else stats.purchased,
        # Of the license types that `bought` counts. A vendor may not say how many of the others were bought.
        "in_use": stats.assigned,
        "candidates": RemovalCandidate.objects.open().filter(profile=profile).count(),
        "oldest": {"pk": waiting.pk, "since": waiting.requested_at.isoformat()} if waiting else None,
        "lines": [line.to_json(place) for place, line in sorted(found.lines.items())],
    }


def _seats(found: _Month, paid: set[str]) -> None:
    """The seats that are held now. Those of a license type that nobody pays for are left out."""
    held = Subscription.objects.filter(HELD, profile=found.profile).order_by()
    by = held.values_list("department", "cost_center", "license")
    inactive = Count("pk", filter=Q(evaluation__verdict=Verdict.CANDIDATE))
    for department, center, license, seats, idle in by.annotate(Count("pk"), inactive=inactive):
        price = found.prices.at(found.profile.pk, license, company_day())
        if price.is_free if price else license not in paid:
            continue
        line = found.line(department, center, price)
        line.seats, line.inactive = line.seats + seats, line.inactive + idle
        line.amount += price.yearly * seats if price else 0


def _taken(found: _Month, ledger: Ledger) -> None:
    """The verified reclaims of the month, and those that were bought again in it, as the savings count them."""
    names = ("subscription__department", "subscription__cost_center", "price")
    for stage in (Stage.VERIFIED, Stage.AGAIN):
        rows = ledger.rows(stage).filter(at__gte=found.first, at__lt=found.end).order_by()
        for department, center, price_id, count in rows.values_list(*names).annotate(Count("pk")):
            price = ledger.prices.by_id.get(price_id)
            if price and price.is_free:
                continue
            line = found.line(department, center, price)
            amount = price.yearly * count if price else Decimal(0)
            if stage == Stage.VERIFIED:
                line.reclaimed, line.saved = line.reclaimed + count, line.saved + amount
            else:
                line.again, line.saved = line.again + count, line.saved - amount


def _restored(found: _Month) -> None:
    done = Reclaim.objects.filter(
        direction=Direction.REACTIVATE,
        state=ReclaimState.DONE,
        profile=found.profile,
        finished_at__gte=found.first,
        finished_at__lt=found.end,
    ).order_by()
    priced = done.annotate(price=found.prices.case(license="license", moment="finished_at"))
    by = priced.values_list("subscription__department", "subscription__cost_center", "price")
    for department, center, price_id, count in by.annotate(Count("pk")):
        price = found.prices.by_id.get(price_id)
        if not (price and price.is_free):
            found.line(department, center, price).restored += count


def total(data: dict[str, Any], name: str) -> int:
    """The sum of one count over the lines of a profile: seats, inactive, reclaimed, again or restored."""
    return sum(int(line[name]) for line in data["lines"])


def amounts(data: dict[str, Any], name: str) -> dict[str, Decimal]:
    """Currency -> the sum of one amount over the lines: amount or saved."""
    found: dict[str, Decimal] = {}
    for line in data["lines"]:
        if line["currency"]:
            found[line["currency"]] = found.get(line["currency"], Decimal(0)) + Decimal(line[name])
    return found
