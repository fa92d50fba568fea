"""Currencies of ISO 4217, and amounts as text. https://www.iso.org/iso-4217-currency-codes.html"""

from __future__ import annotations

from decimal import Decimal
from functools import cache

from babel.core import get_global
from babel.numbers import format_currency, get_currency_name, get_currency_symbol
from django.utils.translation import get_language

from subscriptions.models.money import in_currency

# Language -> the locale that writes amounts, and the format of amounts without decimals.
LOCALES = {"en": "en_US", "de": "de_DE"}
WHOLE = {"en_US": "¤#,##0;−¤#,##0", "de_DE": "#,##0\u00a0¤;−#,##0\u00a0¤"}


def currencies() -> dict[str, str]:
    """Code -> name of each currency that is legal tender somewhere now, by code."""
    return _currencies(_locale())


@cache
def _currencies(locale: str) -> dict[str, str]:
    rows = (row for found in get_global("territory_currencies").values() for row in found)
    tender = {code for code, _, until, is_tender in rows if is_tender and until is None}
    return {code: get_currency_name(code, locale=locale) for code in sorted(tender)}


def amount_text(amount: Decimal, currency: str) -> str:
    """`$61,200`, `€0.50`, `CHF 240`, in German `0,50 €`.

    A whole amount has no decimals, another one those of its currency, and never fewer than it needs: rounded amounts
    would not add up. A minus sign stands first.
    """
    locale = _locale()
    pattern = WHOLE[locale]
    if amount != amount.to_integral_value():
        exact = in_currency(amount, currency)
        pattern = pattern.replace("#,##0", f"#,##0.{'0' * -int(exact.as_tuple().exponent)}")
    if get_currency_symbol(currency, locale)[-1].isalpha():
        pattern = pattern.replace("¤#", "¤\u00a0#")
    return format_currency(amount, currency, pattern, locale=locale, currency_digits=False)


def _locale() -> str:
    return LOCALES.get((get_language() or "en").partition("-")[0], "en_US")
