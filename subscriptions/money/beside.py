"""The money that stands beside a number of seats on the other pages: one text, and none where no price is known."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from datetime import date
from decimal import Decimal
from functools import cache
from typing import Any

from django.db.models import CharField, Count, OuterRef, Q, QuerySet, Subquery, Value
from django.db.models.functions import Cast, Coalesce, Concat
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from integrations.models import IntegrationProfile
from licensehub.ui.formatting import number
from licensehub.ui.lists.counts import STOP
from licensehub.ui.time_zones import company_day
from subscriptions.models import Per, Price, RemovalCandidate
from subscriptions.models.money import in_currency
from subscriptions.money.prices import PriceList, money_of

# (id of a profile, license type) -> seats.
Seats = Mapping[tuple[int, str], int]
# A row of an export -> profile, license type and day; None where the row costs nothing.
SeatOf = Callable[[Any], tuple[int, str, date] | None]


def all_prices() -> PriceList:
    """The prices of all profiles. Takes one query if no price is entered, else two."""
    return PriceList(IntegrationProfile.objects.all())


def yearly_cost(seats: Seats, *, day: date | None = None, prices: PriceList | None = None) -> str:
    """`$9,600 per year`, at the prices of today or of a day; empty where these seats have no price.

    Seats without a price are named: `$9,600 per year; 3 seats have no price`.
    """
    known = prices or all_prices()
    if not known.any_price():
        return ""
    found = money_of(known, seats, day=day or company_day())
    if not str(found) or not found.unpriced:
        return str(found)
    have = ngettext("{cost}; {count} seat has no price", "{cost}; {count} seats have no price", found.unpriced)
    return have.format(cost=found, count=number(found.unpriced))


def amount_of(seats: Seats) -> str:
    """`$9,600 per year`, at the prices of today, without the seats that have no price."""
    return str(money_of(all_prices(), seats))


def seat_counts(rows: Iterable[QuerySet[RemovalCandidate]]) -> Seats:
    """The seats of these candidates. One query for each queryset."""
    found: dict[tuple[int, str], int] = {}
    for some in rows:
        # A new query: the annotations of a list would be grouped by, too.
        new = RemovalCandidate.objects.filter(pk__in=some.order_by().values("pk")).order_by()
        for profile, license, count in new.values_list("profile", "license").annotate(Count("pk")):
            found[profile, license or ""] = found.get((profile, license or ""), 0) + count
    return found


def cost_in_state(state: str) -> str:
    """The yearly cost of the seats of all candidates in this state; for very many, `at least $2,400,000 per year`."""
    prices = all_prices()
    if not prices.any_price():
        return ""
    rows = RemovalCandidate.objects.filter(state=state).order_by().values_list("profile", "license")[: STOP + 1]
    seats = Counter((profile, license or "") for profile, license in rows)
    found = yearly_cost(seats, prices=prices)
    return _("at least {amount}").format(amount=found) if found and seats.total() > STOP else found


def price_on(day: Any, *, license: str) -> Coalesce:
    """An expression for rows with `profile`: the price on that day as `240.00 USD year`, or an empty text.

    The rows of a page then have their prices without a further query. `PriceList.at` gives the same price.
    """
    own = IntegrationProfile.objects.filter(pk=OuterRef(OuterRef("profile_id"))).exclude(organization_id="")
    same = Q(
        profile__kind=Subquery(own.values("kind")[:1]),
        profile__organization_id=Subquery(own.values("organization_id")[:1]),
    )
    begun = Price.objects.valid().filter(license=OuterRef(license), valid_from__lte=day)
    found = begun.filter(Q(profile=OuterRef("profile_id")) | same).order_by("-valid_from", "-pk")
    text = Concat(Cast("amount", CharField()), Value(" "), "currency", Value(" "), "per", output_field=CharField())
    return Coalesce(Subquery(found.values(text=text)[:1]), Value(""), output_field=CharField())


def yearly(price: str) -> tuple[Decimal, str] | None:
    """`20.00 USD month` as the amount of a seat and year, with its currency. None where a seat costs nothing."""
    if not price:
        return None
    amount, currency, per = price.split()
    found = in_currency(Decimal(amount) * (12 if per == Per.MONTH else 1), currency)
    return (found, currency) if found else None


def cost_columns(seat_of: SeatOf) -> tuple[tuple[str, Callable[[Any], object]], ...]:
    """Two columns of an export: amount per year, and currency. The prices are read once, with the first row."""
    prices = cache(all_prices)

    def price_of(row: Any) -> Price | None:
        seat = seat_of(row)
        return prices().at(*seat) if seat else None

    return (
        (_("Amount per year"), lambda row: price.yearly if (price := price_of(row)) else ""),
        (_("Currency"), lambda row: price.currency if (price := price_of(row)) else ""),
    )
