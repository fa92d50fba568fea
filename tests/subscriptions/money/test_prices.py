"""Prices follow each other, hold for all profiles of an organization, and are never edited."""

from __future__ import annotations

from datetime import date, datetime, time, timedelta
from decimal import Decimal

import pytest
from babel.numbers import get_currency_precision
from django.utils import timezone, translation

from integrations.models import IntegrationProfile
from licensehub.audit.models import AuditEvent
from subscriptions.errors import NotActionable, Refused
from subscriptions.models import Per, Price, Subscription
from subscriptions.models.money import minor_units
from subscriptions.money.currencies import amount_text, currencies
from subscriptions.money.prices import PriceInput, PriceList, enter_price, money_of, withdraw_price

D = Decimal
MARCH, JULY = date(2026, 3, 1), date(2026, 7, 1)


def entered(profile, alice, amount: str, valid_from: date = MARCH, *, license="full", currency="USD", per=Per.YEAR):
    return enter_price(profile, PriceInput(license, D(amount), currency, per, valid_from), actor=alice)


def test_amounts_are_written_with_their_currency():
    written = [amount_text(D(text), code) for text, code in (("61200.00", "USD"), ("-432", "EUR"), ("0.5", "EUR"))]
    assert written == ["$61,200", "−€432", "€0.50"]
    assert amount_text(D("1200"), "JPY") == "¥1,200"
    assert [amount_text(D(text), "CHF") for text in ("240", "-0.5")] == ["CHF\u00a0240", "−CHF\u00a00.50"]
    with translation.override("de"):
        assert amount_text(D("-1200.5"), "EUR") == "−1.200,50\u00a0€"


def test_shown_amounts_add_up_in_every_currency():
    """Also where a currency has no smaller coin, or where the locale data know none."""
    for code in currencies():
        parts, whole = [amount_text(D("49.60"), code)] * 2, amount_text(D("99.20"), code)
        digits = [D("".join(sign for sign in text if sign in "0123456789.").strip(".")) for text in (*parts, whole)]
        assert digits == [D("49.60"), D("49.60"), D("99.20")], code
    assert {"USD", "EUR", "CHF", "JPY"} <= set(currencies()) and "DEM" not in currencies()


def test_amounts_have_the_decimals_of_their_currency(organization, alice):
    """From the entry over sums to the text: a third decimal of a dinar is neither refused nor lost."""
    profile = organization.profile
    dinar = entered(profile, alice, "12.345", currency="KWD", per=Per.MONTH)
    yen, dollar = entered(profile, alice, "2400", JULY, currency="JPY"), entered(profile, alice, "19.5", license="free")
    for amount, currency, most in (
        ("1.2345", "KWD", 3),
        ("49.6", "JPY", "no"),
        ("1.005", "USD", 2),
        ("1.005", "RSD", 2),
    ):
        with pytest.raises(Refused, match=f"An amount in {currency} has {most} decimals"):
            entered(profile, alice, amount, date(2026, 1, 1), currency=currency)
    prices = [Price.objects.get(pk=row.pk) for row in (dinar, yen, dollar)]
    assert [str(row.exact_amount) for row in prices] == ["12.345", "2400", "19.50"]
    assert [str(row.yearly) for row in prices] == ["148.140", "2400", "19.50"]
    seats = {(profile.pk, "full"): 3}
    assert str(money_of(PriceList([profile]), seats, day=MARCH)) == "KWD\u00a0444.420 per year"
    assert str(money_of(PriceList([profile]), seats, day=JULY)) == "¥7,200 per year"
    event = AuditEvent.objects.filter(action="price.entered").order_by("sequence")[0]
    assert (event.data["amount"], event.target_label) == ("12.345", "Full, KWD 12.345 per month")


def test_decimals_are_those_of_iso_4217():
    """Babel has none where no smaller coin is in use; it has the same elsewhere."""
    for code in currencies():
        assert minor_units(code) == get_currency_precision(code) or get_currency_precision(code) == 0, code
    assert [minor_units(code) for code in ("JPY", "KRW", "USD", "RSD", "KWD", "BHD", "JOD", "IQD")] == [
        *(0, 0, 2, 2),
        *(3, 3, 3, 3),
    ]


def test_a_price_holds_from_its_day_until_the_next_one(organization, alice):
    profile = organization.profile
    old, new = entered(profile, alice, "19", per=Per.MONTH), entered(profile, alice, "240", JULY)
    prices = PriceList([profile])

    found = [prices.at(profile.pk, "full", day) for day in (date(2026, 2, 28), MARCH, date(2026, 6, 30), JULY)]

    assert found == [None, old, old, new]
    assert (old.yearly, new.yearly) == (D(228), D(240))
    assert prices.now(profile.pk, "full") == new and prices.now(profile.pk, "occasional") is None
    # The database gives the same answers, at each edge of a day.
    row = Subscription.objects.filter(profile=profile, license="full")[0]
    for day, price in zip((date(2026, 2, 28), MARCH, date(2026, 6, 30), JULY), found, strict=True):
        for clock in (time.min, time(23, 59, 59)):
            Subscription.objects.filter(pk=row.pk).update(facts_at=timezone.make_aware(datetime.combine(day, clock)))
            case = prices.case(license="license", moment="facts_at")
            assert Subscription.objects.annotate(price=case).get(pk=row.pk).price == (price.pk if price else None)
    [now] = Subscription.objects.filter(pk=row.pk).annotate(price=prices.case_now(license="license"))
    assert now.price == new.pk


def test_bad_prices_are_refused_and_a_mistake_can_be_withdrawn(organization, alice):
    profile = organization.profile
    row = entered(profile, alice, "24000")
    with pytest.raises(Refused, match=r"a price from Mar 1, 2026 on already"):
        entered(profile, alice, "240")
    for bad, words in (
        ({"currency": "XYZ"}, "no currency of ISO 4217"),
        ({"currency": "DEM"}, "no currency of ISO 4217"),
        ({"amount": "-1"}, "0 or more"),
        ({"valid_from": timezone.localdate() + timedelta(days=3650)}, "more than five years ahead"),
        ({"valid_from": date(26, 3, 1)}, "before the year 2000"),
    ):
        with pytest.raises(Refused, match=words):
            entered(profile, alice, **{"amount": "240", "valid_from": JULY, **bad})
    withdraw_price(row, reason="Two zeros too many", actor=alice)
    with pytest.raises(NotActionable):
        withdraw_price(row, reason="Again", actor=alice)
    right = entered(profile, alice, "240")

    assert PriceList([profile]).now(profile.pk, "full") == right
    assert list(Price.objects.valid()) == [right]
    events = AuditEvent.objects.filter(action__startswith="price.").order_by("sequence")
    assert [event.action for event in events] == ["price.entered", "price.withdrawn", "price.entered"]
    assert events[1].data["reason"] == "Two zeros too many" and events[1].data["amount"] == "24000.00"


def test_a_profile_made_again_has_the_prices_of_its_organization_and_no_other(organization, alice):
    profile = organization.profile
    price = entered(profile, alice, "240")
    IntegrationProfile.objects.filter(pk=profile.pk).update(state="archived")
    again = IntegrationProfile.objects.create(
        name="Made again", kind=profile.kind, organization_id=profile.organization_id
    )
    other = IntegrationProfile.objects.create(name="Other", kind=profile.kind, organization_id="999")
    new = [IntegrationProfile.objects.create(name=f"New {n}", kind=profile.kind) for n in range(2)]
    prices = PriceList([profile, again, other, *new])

    assert prices.now(again.pk, "full") == price
    assert [prices.now(pk, "full") for pk in (other.pk, new[0].pk, new[1].pk)] == [None] * 3
    seats = {(profile.pk, "full"): 2, (again.pk, "full"): 1, (other.pk, "full"): 4, (profile.pk, "free"): 9}
    money = money_of(prices, seats)
    assert (str(money), money.unpriced) == ("$720 per year", 13)
    entered(other, alice, "216", currency="EUR")
    assert str(money_of(PriceList([profile, again, other]), seats)) == "€864 and $720 per year"
