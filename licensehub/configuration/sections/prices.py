"""Prices of license types. A price is never edited: it is withdrawn, and another one is entered."""

from __future__ import annotations

from datetime import date
from decimal import Decimal, InvalidOperation
from typing import Any, Final

from django.contrib.auth.models import User

from integrations.models import IntegrationProfile
from licensehub.configuration.changes import Kind, Plan, shown
from licensehub.configuration.reading import Entry
from subscriptions.models import Per, Price
from subscriptions.models.money import in_currency
from subscriptions.money.prices import PriceInput, enter_price, too_many_decimals, withdraw_price

ENTER: Final = "subscriptions.add_price"
WITHDRAW: Final = "subscriptions.change_price"
REASON: Final = "The file of the configuration has another price, or none."
MAX_AMOUNT: Final = Decimal(10) ** 10


def stored(profile: IntegrationProfile) -> dict[tuple[str, date], Price]:
    rows = (
        Price.objects.valid().filter(profile=profile).select_related("profile").order_by("license", "valid_from", "pk")
    )
    return {(row.license, row.valid_from): row for row in rows}


def dump(profile: IntegrationProfile) -> list[dict[str, Any]]:
    return [_values(row) for row in stored(profile).values()]


def _values(row: Price | PriceInput) -> dict[str, Any]:
    return {
        "license": row.license,
        "amount": str(in_currency(row.amount, row.currency)),
        "currency": row.currency,
        "per": str(row.per),
        "valid_from": row.valid_from.isoformat(),
    }


def plan(name: str, entry: Entry, profile: IntegrationProfile, plan: Plan, *, prune: bool) -> None:
    known, seen = stored(profile), set[tuple[str, date]]()
    for one in entry.items():
        plan.guarded(_plan, name, one, profile, known, seen, plan)
    for key, row in known.items():
        if key not in seen:

            def withdraw(actor: User, row: Price = row) -> None:
                withdraw_price(row, reason=REASON, actor=actor)

            do = withdraw if prune else None
            plan.add(Kind.EXTRA, f"{name}: prices", shown(_values(row)), entry, WITHDRAW, do)


def _plan(
    name: str,
    entry: Entry,
    profile: IntegrationProfile,
    known: dict[tuple[str, date], Price],
    seen: set[tuple[str, date]],
    plan: Plan,
) -> None:
    entry.only("license", "amount", "currency", "per", "valid_from")
    wanted = PriceInput(
        license=entry.required("license").text(),
        amount=_amount(entry.required("amount"), currency := entry.required("currency").text()),
        currency=currency,
        per=Per(entry.required("per").one_of(Per.values)),
        valid_from=day_of(entry.required("valid_from")),
    )
    key = (wanted.license, wanted.valid_from)
    if len(wanted.license) > (Price._meta.get_field("license").max_length or 0):
        raise entry.required("license").wrong("This is too long for a license type.")
    if key in seen:
        raise entry.wrong(f"A price of {wanted.license} from {wanted.valid_from} on is in the file already.")
    seen.add(key)
    former = known.get(key)
    if former is not None and _values(former) == _values(wanted):
        return

    def do(actor: User) -> None:
        if former is not None:
            withdraw_price(former, reason=REASON, actor=actor)
        enter_price(profile, wanted, actor=actor)

    before = shown(_values(former)) + " → " if former else ""
    plan.add(Kind.CHANGE if former else Kind.ADD, f"{name}: prices", before + shown(_values(wanted)), entry, ENTER, do)


def _amount(entry: Entry, currency: str) -> Decimal:
    text = entry.text()
    try:
        amount = Decimal(text) if text.isascii() and text.replace(".", "", 1).isdecimal() else None
    except InvalidOperation:
        amount = None
    if amount is None or amount >= MAX_AMOUNT:
        raise entry.wrong("Write an amount, e.g. 192.00.")
    if sentence := too_many_decimals(amount, currency):
        raise entry.wrong(sentence)
    return amount


def day_of(entry: Entry) -> date:
    text = entry.text()
    try:
        if len(text) != 10:
            raise ValueError
        return date.fromisoformat(text)
    except ValueError:
        raise entry.wrong(f"“{text}” is no day. Write it as 2027-01-31.") from None
