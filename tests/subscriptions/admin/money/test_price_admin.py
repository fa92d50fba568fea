"""The pages of prices and savings: who may enter, what bad entries get, and that each number opens its rows."""

from __future__ import annotations

import csv
import io
import re
from datetime import timedelta
from decimal import Decimal

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from subscriptions.admin.money import savings_page
from subscriptions.approvals import decide
from subscriptions.approvals.request import request_reclaim
from subscriptions.models import Per, Price, Reclaim, RemovalCandidate
from subscriptions.money.prices import PriceInput, enter_price
from subscriptions.reclaims.engine import reclaim_due
from subscriptions.reports.figures import amounts, figures
from tests.support.people.profile_states import HOSTILE
from tests.support.web.pages import text_of

ADD, LIST = reverse("admin:subscriptions_price_add"), reverse("admin:subscriptions_price_changelist")
SAVINGS = reverse("admin:subscriptions_savings")
QUERIES = 45


def form(profile, **others: object) -> dict[str, object]:
    today = timezone.localdate()
    words = {"license": "full", "amount": "240", "currency": "USD", "per": "year", "valid_from": today.isoformat()}
    return {"profile": profile.pk, **words, **others}


def test_a_company_admin_enters_and_withdraws_a_price_and_others_read(organization, sign_in):
    admin = sign_in("Company admin")
    page = text_of(admin.post(ADD, form(organization.profile), follow=True))
    assert "A seat of Full costs $240 per year" in page and "Valid" in page
    row = Price.objects.get()
    again = text_of(admin.post(ADD, form(organization.profile, amount="300"), follow=True))
    assert "Withdraw that one first" in again and Price.objects.count() == 1
    for bad, words in (
        ({"amount": "-3"}, "greater than or equal to 0"),
        ({"amount": "a lot"}, "Enter a number"),
        ({"valid_from": "soon"}, "year-month-day"),
        ({"license": HOSTILE[:40]}, "Select a valid choice"),
        ({"currency": "XXX"}, "Select a valid choice"),
        ({"amount": "1.5", "currency": "JPY"}, "An amount in JPY has no decimals. Enter a whole amount."),
        ({"amount": "1.005"}, "An amount in USD has 2 decimals at most."),
        ({"amount": "1.0005", "currency": "KWD"}, "no more than 3 decimal places"),
    ):
        assert words in text_of(admin.post(ADD, form(organization.profile, **bad)))
    address = reverse("admin:subscriptions_price_withdraw", args=[row.pk])
    for role in ("License manager", "Approver", "Auditor", "Operator"):
        other = sign_in(role)
        assert other.post(ADD, form(organization.profile)).status_code == 403
        assert other.post(address, {"reason": "x"}).status_code == 403
        assert other.get(SAVINGS).status_code == (403 if role == "Operator" else 200)
    admin = sign_in("Company admin")
    assert "Enter a reason" in text_of(admin.post(address, {"reason": " "}, follow=True))
    assert "withdrawn" in text_of(admin.post(address, {"reason": HOSTILE[:60]}, follow=True))
    assert admin.get(address).status_code == 405
    assert "Withdrawn" in text_of(admin.get(LIST))


def test_without_a_price_the_page_shows_seats_and_one_hint(world, admin_client):
    page = text_of(admin_client.get(SAVINGS))
    assert "Nothing is saved yet" in page
    world.first_download()
    page = text_of(admin_client.get(SAVINGS))
    assert page.count("No price is entered") == 1
    assert not any("$" in label for label in re.findall(r'aria-label="([^"]+)"', page))
    assert "Without a price" in page


@pytest.fixture
def saved(world, alice, bob):
    """Three verified seats, one of them held again."""
    world.first_download()
    begin = timezone.localdate() - timedelta(days=400)
    enter_price(world.profile, PriceInput("full", Decimal(240), "USD", Per.YEAR, begin), actor=alice)
    decide.approve(request_reclaim(world.candidates(3), actor=alice), actor=bob)
    assert reclaim_due(world.profile).reclaimed == 3
    back = Reclaim.objects.order_by("pk")[0]
    world.sandbox.world.change_by_hand(back.subscription.external_id, {"active": True})
    world.download()
    return world


def test_three_decimals_are_the_same_on_the_page_in_the_files_and_in_the_report(saved, sign_in, alice):
    Price.objects.all().delete()
    Price.objects.create(
        profile=saved.profile,
        license="full",
        amount=Decimal("12.345"),
        currency="KWD",
        valid_from=timezone.localdate() - timedelta(days=90),
        entered_by=alice,
    )
    client = sign_in("Company admin")
    taken = Reclaim.objects.filter(direction="deactivate", state="done", license="full").count()
    assert taken
    page = text_of(client.get(SAVINGS))
    assert f"KWD {taken * Decimal('12.345')}" in page
    for address in (
        f"{LIST}export/csv/",
        f"{reverse('admin:subscriptions_savings_export', args=['csv'])}?stage=verified&currency=KWD",
    ):
        lines = list(csv.DictReader(io.StringIO(client.get(address).getvalue().decode("utf-8-sig"))))
        assert {line.get("Amount", line.get("Amount per year")) for line in lines} == {"12.345"}, address
    [data] = figures([saved.profile], timezone.localdate().replace(day=1))
    again = Reclaim.objects.filter(bought_again=True, license="full").count()
    assert amounts(data, "saved") == {"KWD": (taken - again) * Decimal("12.345")}
    assert all(Decimal(line["amount"]) % Decimal("12.345") == 0 for line in data["lines"] if line["currency"])


def test_the_page_begins_with_the_currency_of_the_reclaimed_seats(saved, alice, sign_in):
    other = RemovalCandidate.objects.exclude(license="full").values_list("license", flat=True)[0]
    euros = PriceInput(other, Decimal(96), "EUR", Per.YEAR, timezone.localdate())
    enter_price(saved.profile, euros, actor=alice)
    shown = sign_in("Auditor").get(SAVINGS).context
    assert [group["currency"] for group in shown["groups"]][:2] == ["EUR", "USD"]
    assert shown["choice"].currency == "USD"


def test_each_number_opens_the_rows_whose_sum_it_is(saved, sign_in):
    client = sign_in("Auditor")
    with CaptureQueriesContext(
        connection,
    ) as queries:
        page = text_of(client.get(SAVINGS))
    assert len(queries) <= QUERIES
    assert "Saved (US Dollar)" in page and "$480" in page and "−$240" in page
    cells = re.findall(r'href="(\?[^"]+)" class="lh-ledger-cell[^>]*aria-label="([^"]+)"', page)
    assert len(cells) >= 5
    for link, label in cells:
        address = link.replace("&amp;", "&")
        shown = text_of(client.get(f"{SAVINGS}{address}"))
        title, _, numbers = label.partition(": ")
        seats = numbers.split(", ")[-1]
        assert f"{title}, {seats}</h2>" in shown and 'aria-current="true"' in shown
        file = client.get(f"{reverse('admin:subscriptions_savings_export', args=['csv'])}{address}")
        lines = list(csv.DictReader(io.StringIO(file.getvalue().decode("utf-8-sig"))))
        signs = [-1 if line["Counts as"] == "Bought again" and title == "Saved" else 1 for line in lines]
        assert sum(signs) == int(seats.split()[0].replace(",", ""))
        if "$" in label:
            amount = sum(Decimal(line["Amount per year"]) for line in lines)
            assert f"${abs(amount):,.0f}, {seats}" in label


def test_each_month_and_each_department_opens_its_rows(saved, sign_in):
    client = sign_in("Auditor")
    page = text_of(client.get(SAVINGS))
    links = re.findall(r'href="(\?[^"]*(?:month|department)=[^"]*)"[^>]*>(?:<[^>]*>)?−?([0-9]+)<', page)
    assert {"month", "department"} == {name for link, _ in links for name in ("month", "department") if name in link}
    for link, seats in links:
        address = link.replace("&amp;", "&")
        assert f", {seats} seat" in text_of(client.get(f"{SAVINGS}{address}"))
        file = client.get(f"{reverse('admin:subscriptions_savings_export', args=['csv'])}{address}")
        assert len(list(csv.DictReader(io.StringIO(file.getvalue().decode("utf-8-sig"))))) == int(seats)


def test_the_rows_that_are_not_shown_are_counted(saved, sign_in, monkeypatch):
    """The link of *Saved* lists the rows of two stages, the newest first."""
    monkeypatch.setattr(savings_page, "SHOWN", 1)
    page = text_of(sign_in("Auditor").get(f"{SAVINGS}?stage=saved&currency=USD"))
    assert "Saved, 2 seats</h2>" in page and "and 3 more." in page and "held again" in page


def test_an_address_that_is_not_valid_shows_the_page(saved, sign_in):
    client = sign_in("Auditor")
    for query in (
        "year=0",
        "year=99999999999999999999",
        "year=020200",
        "stage=x",
        "of=99999999999999999999",
        "profile=x",
        "month=13",
        "month=x&department=x",
    ):
        assert client.get(f"{SAVINGS}?{query}").status_code == 200
    assert client.get(f"{SAVINGS}?currency=%00").status_code == 400
    assert client.get(f"{SAVINGS}?license={HOSTILE}").status_code == 200
    assert client.get(reverse("admin:subscriptions_savings_export", args=["exe"])).status_code == 404
