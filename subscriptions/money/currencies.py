"""Currencies of ISO 4217, and amounts as text. https://www.iso.org/iso-4217-currency-codes.html"""

from __future__ import annotations

from decimal import Decimal
from functools import cache

from babel.core import get_global
from babel.numbers import format_currency, get_currency_name

LOCALE = "en_US"


@cache
def currencies() -> dict[str, str]:
    """Code -> name of each currency that is legal tender somewhere now, by code."""
    rows = (row for found in get_global("territory_currencies").values() for row in found)
    tender = {code for code, _, until, is_tender in rows if is_tender and until is None}
    return {code: get_currency_name(code, locale=LOCALE) for code in sorted(tender)}


def amount_text(amount: Decimal, currency: str) -> str:
    """`$61,200`, `€0.50`: without cents where there are none. A minus sign stands before the currency."""
    whole = amount == amount.to_integral_value()
    pattern = "¤#,##0;−¤#,##0" if whole else None
    return format_currency(amount, currency, pattern, locale=LOCALE, currency_digits=not whole).replace("-", "−")
