"""Enter and withdraw prices, and find the price of a seat on a day."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal

from django.db import IntegrityError, transaction
from django.db.models import BigIntegerField, Case, Q, Value, When
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from integrations.models import IntegrationProfile
from licensehub.audit.actions import Action
from licensehub.audit.log import Actor, record
from licensehub.database.clock import database_now
from licensehub.ui.formatting import day as day_text
from licensehub.ui.names import joined
from licensehub.ui.time_zones import company_day, company_midnight
from subscriptions.accounts.scope import refuse_outside
from subscriptions.errors import NotActionable, Refused
from subscriptions.models import Per, Price
from subscriptions.models.money import minor_units
from subscriptions.money.currencies import amount_text, currencies

# A price that begins earlier or later than this is a typing error.
MIN_DAY = date(2000, 1, 1)
MAX_AHEAD = timedelta(days=5 * 365)


@dataclass(frozen=True, slots=True)
class PriceInput:
    """The entries of an admin. The currency is a code of ISO 4217."""

    license: str
    amount: Decimal
    currency: str
    per: Per
    valid_from: date


def enter_price(profile: IntegrationProfile, wanted: PriceInput, *, actor: Actor) -> Price:
    """Store a price, which follows the one before it. Raises Refused."""
    refuse_outside(actor, profile.pk)
    if wanted.currency not in currencies():
        raise Refused(
            _("“{currency}” is no currency of ISO 4217. Enter three letters, like USD or EUR.").format(
                currency=wanted.currency
            )
        )
    if sentence := too_many_decimals(wanted.amount, wanted.currency):
        raise Refused(sentence)
    if wanted.amount < 0:
        raise Refused(_("A price is 0 or more. Enter 0 for a license type that costs nothing."))
    if wanted.valid_from < MIN_DAY:
        raise Refused(_("This day is before the year 2000. Check the year."))
    if wanted.valid_from > company_day() + MAX_AHEAD:
        raise Refused(_("This day is more than five years ahead. Check the year."))
    row = Price(
        profile=profile,
        license=wanted.license,
        amount=wanted.amount,
        currency=wanted.currency,
        per=wanted.per,
        valid_from=wanted.valid_from,
        entered_by=actor,
    )
    try:
        with transaction.atomic():
            row.save()
            record(Action.PRICE_ENTERED, actor=actor, target=row, data=_data(row))
    except IntegrityError as error:
        raise Refused(
            _("{license} has a price from {day} on already. Withdraw that one first, or choose another day.").format(
                license=row.license_label, day=day_text(wanted.valid_from)
            )
        ) from error
    return row


def too_many_decimals(amount: Decimal, currency: str) -> str:
    """Return why there is no such amount in this currency, in a sentence; empty if there is."""
    most = minor_units(currency)
    if amount == round(amount, most):
        return ""
    if most == 0:
        return _("An amount in {currency} has no decimals. Enter a whole amount.").format(currency=currency)
    return ngettext(
        "An amount in {currency} has {count} decimal at most.",
        "An amount in {currency} has {count} decimals at most.",
        most,
    ).format(currency=currency, count=most)


def withdraw_price(row: Price, *, reason: str, actor: Actor) -> None:
    """Take back a price that was a mistake. Amounts are then computed as if it had never been entered.

    Raises NotActionable when it was withdrawn before.
    """
    refuse_outside(actor, row.profile_id)
    with transaction.atomic():
        withdrawn = Price.objects.valid().filter(pk=row.pk)
        if not withdrawn.update(withdrawn_at=database_now(), withdrawn_by=actor, withdrawn_reason=reason):
            raise NotActionable(_("This price was withdrawn already."))
        record(Action.PRICE_WITHDRAWN, actor=actor, target=row, data={**_data(row), "reason": reason})


def _data(row: Price) -> dict[str, str]:
    return {
        "license": row.license,
        "amount": str(row.exact_amount),
        "currency": row.currency,
        "per": row.per,
        "valid_from": row.valid_from.isoformat(),
        "profile": row.profile.name,
    }


@dataclass(frozen=True, slots=True)
class Period:
    """A price with the days on which it holds: from its first day until before `until`, or without an end."""

    price: Price
    until: date | None

    @property
    def is_now(self) -> bool:
        today = company_day()
        return self.price.valid_from <= today and (self.until is None or today < self.until)


class PriceList:
    """All prices, read once. The profiles of one organization share their prices."""

    def __init__(self, profiles: Iterable[IntegrationProfile]) -> None:
        self._periods: dict[tuple[tuple[str, ...], str], list[Period]] = {}
        self.by_id: dict[int, Price] = {}
        found: dict[tuple[tuple[str, ...], str], dict[date, Price]] = {}
        for row in Price.objects.valid().select_related("profile").order_by("valid_from", "pk"):
            self.by_id[row.pk] = row
            # Of two prices that begin on a day, in two profiles of an organization, the later one holds.
            found.setdefault((_organization(row.profile), row.license), {})[row.valid_from] = row
        for key, by_day in found.items():
            days = [*by_day, None]
            self._periods[key] = [Period(by_day[day], days[n + 1]) for n, day in enumerate(by_day)]
        # Without any price, the profiles are not read.
        self._group = {profile.pk: _organization(profile) for profile in profiles} if found else {}
        self._profiles: dict[tuple[str, ...], list[int]] = {}
        for pk, group in self._group.items():
            self._profiles.setdefault(group, []).append(pk)

    def at(self, profile_id: int, license: str, day: date) -> Price | None:
        """The price of a seat on a day; None where nobody entered one."""
        group = self._group.get(profile_id)
        for period in self._periods.get((group, license), ()) if group else ():
            if period.price.valid_from <= day and (period.until is None or day < period.until):
                return period.price
        return None

    def now(self, profile_id: int, license: str) -> Price | None:
        return self.at(profile_id, license, company_day())

    def case(self, *, license: str, moment: str) -> Case:
        """The id of the price as an expression, by the names of the columns for the license and the moment.

        Days are those of the company's time zone.
        """
        whens = []
        for (group, name), periods in self._periods.items():
            for period in periods if group in self._profiles else ():
                at = Q(**{f"{moment}__gte": company_midnight(period.price.valid_from)})
                if period.until:
                    at &= Q(**{f"{moment}__lt": company_midnight(period.until)})
                at &= Q(profile__in=self._profiles[group], **{license: name})
                whens.append(When(at, then=Value(period.price.pk)))
        return _first_of(whens)

    def case_now(self, *, license: str) -> Case:
        """The id of today's price as an expression."""
        whens = []
        for (group, name), periods in self._periods.items():
            for period in periods if group in self._profiles else ():
                if period.is_now:
                    same = Q(profile__in=self._profiles[group], **{license: name})
                    whens.append(When(same, then=Value(period.price.pk)))
        return _first_of(whens)

    def holding_now(self) -> set[int]:
        """The ids of the prices that hold today."""
        return {period.price.pk for periods in self._periods.values() for period in periods if period.is_now}

    def any_price(self) -> bool:
        return bool(self.by_id)


def _first_of(whens: list[When]) -> Case:
    return Case(*whens, default=None, output_field=BigIntegerField(null=True))


def _organization(profile: IntegrationProfile) -> tuple[str, ...]:
    if not profile.organization_id:
        return ("", str(profile.pk))
    return (profile.kind, profile.organization_id)


@dataclass(frozen=True, slots=True)
class Money:
    """Amounts for a year, by currency, and the seats without a price. Currencies are never added."""

    amounts: Mapping[str, Decimal]
    unpriced: int = 0

    def __str__(self) -> str:
        """`$9,600 per year`, `$9,600 and €432 per year`; empty without any price."""
        return _("{amount} per year").format(amount=self.amount) if self.amount else ""

    @property
    def amount(self) -> str:
        """`$9,600`, `$9,600 and €432`; empty without any price."""
        return joined([amount_text(amount, currency) for currency, amount in sorted(self.amounts.items()) if amount])


def money_of(prices: PriceList, seats: Mapping[tuple[int, str], int], *, day: date | None = None) -> Money:
    """The yearly amount of seats at the prices of a day, or of today; (profile id, license) -> number of seats."""
    when = day or company_day()
    amounts: dict[str, Decimal] = {}
    unpriced = 0
    for (profile_id, license), count in seats.items():
        price = prices.at(profile_id, license, when)
        if price is None:
            unpriced += count
        else:
            amounts[price.currency] = amounts.get(price.currency, Decimal(0)) + price.yearly * count
    return Money(amounts, unpriced)
