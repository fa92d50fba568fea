"""Readers who may see no names see no figure of a small group, and cannot compute one from the others."""

from __future__ import annotations

import csv
import io
import random

import pytest
from django.contrib.auth.models import Permission, User
from django.urls import reverse

from subscriptions.models import Reclaim, Subscription
from subscriptions.money.small_groups import apart_and_together, seats_by_place
from subscriptions.reports.figures import total
from subscriptions.reports.small_groups import rows_of_file, with_groups_together

PLACES = [("Design", 7), ("Sales", 6), ("Legal", 2), ("Board", 1), ("", 5)]


def test_no_shown_group_is_small_and_none_can_be_computed():
    dice = random.Random(7)  # noqa: S311 - made up, the same in each run
    for _ in range(2000):
        sizes = [dice.randrange(0, 12) for _ in range(dice.randrange(0, 9))]
        minimum = dice.randrange(0, 8)
        shown, together = apart_and_together(list(enumerate(sizes)), lambda row: row[1], minimum)
        assert sorted([*shown, *together]) == list(enumerate(sizes)) and shown == sorted(shown)
        assert all(size >= minimum for _place, size in shown)
        # All minus the shown ones: nobody, many, or everybody.
        left = sum(sizes) - sum(size for _place, size in shown)
        assert not together or left >= minimum or not shown, (sizes, minimum)


def test_the_sums_of_a_report_stay():
    def line(department, seats, currency, saved="0"):
        counts = {"inactive": seats // 2, "reclaimed": 1, "again": 0, "restored": 0}
        words = {"department": department, "cost_center": "", "currency": currency}
        return {**words, **counts, "seats": seats, "amount": str(seats * 10), "saved": saved}

    data = {"lines": [line("A", 9, "EUR"), line("B", 2, "EUR"), line("C", 4, "USD", "70"), line("D", 8, "")]}
    kept = with_groups_together(data, 5)
    assert [one["department"] for one in kept["lines"]] == ["A", "D"]
    assert (kept["together"]["seats"], kept["together"]["groups"]) == (6, 2)
    rows = rows_of_file(kept)
    assert sum(row["seats"] for row in rows) == total(data, "seats") == 23
    money = {(row["currency"], row["amount"], row["saved"]) for row in rows if "groups" in row}
    assert money == {("EUR", "20", "0"), ("USD", "40", "70")}
    assert with_groups_together(data, 0) == data and rows_of_file(data) == data["lines"]
    # One group of three is hidden by the smallest of the others.
    kept = with_groups_together({"lines": [line("A", 9, ""), line("B", 6, ""), line("C", 3, "")]}, 5)
    assert [one["department"] for one in kept["lines"]] == ["A"] and kept["together"]["seats"] == 9


@pytest.fixture
def departments(organization, alice, bob):
    """The people of the organization and some more, in departments; one of each was reclaimed."""
    number = 100
    for department, seats in PLACES:
        for _ in range(seats):
            number += 1
            organization.hire(number, idle=3, department=department, cost_center="9")
    Subscription.objects.filter(department="", cost_center="").update(department="Design", cost_center="9")
    return organization


@pytest.fixture
def controller(dave) -> User:
    """May see figures, and no people."""
    wanted = ("view_monthlyreport", "view_price")
    dave.user_permissions.set(Permission.objects.filter(codename__in=wanted))
    return User.objects.get(pk=dave.pk)


def test_pages_and_files(departments, controller, carol, as_user, settings):
    report, savings = reverse("admin:subscriptions_monthlyreport_changelist"), reverse("admin:subscriptions_savings")
    file = reverse("admin:subscriptions_monthlyreport_export", args=["csv"])
    rows_file = reverse("admin:subscriptions_savings_export", args=["csv"])

    def seats_of(user) -> dict[str, int]:
        text = b"".join(as_user(user).get(file).streaming_content).decode("utf-8-sig")
        return {row["Department"]: int(row["Seats"]) for row in csv.DictReader(io.StringIO(text))}

    everything = seats_of(carol)
    assert everything["Board"] == 1 and everything["Legal"] == 2
    assert seats_of(controller) == everything, "by default nothing is put together"
    settings.MIN_GROUP_SIZE = 5
    assert seats_of(carol) == everything, "who may see every person sees every group"
    seen = seats_of(controller)
    # 2 + 1 are fewer than 5 themselves, so the smallest of the others is with them.
    assert seen == {"Design": everything["Design"], "Sales": 6, "Smaller groups": 2 + 1 + everything[""]}
    shown = as_user(controller).get(report).content.decode()
    assert "3 smaller groups together" in shown and "Board" not in shown and "Legal" not in shown
    assert "Board" in as_user(carol).get(report).content.decode()

    # Behind a number of the savings there are people.
    names = [row.name for row in Subscription.objects.all()]
    page = as_user(controller).get(f"{savings}?stage=potential&department=Board&center=9").content.decode()
    assert [name for name in names if f">{name}<" in page] == []
    assert 'id="lh-rows"' not in page and "department=" not in page
    assert as_user(controller).get(f"{rows_file}?stage=potential").status_code == 403
    assert 'id="lh-rows"' in as_user(carol).get(f"{savings}?stage=potential").content.decode()


def test_savings_put_small_departments_together(departments, controller, alice, bob, as_user, settings):
    from django.utils import timezone

    from subscriptions.approvals import decide

    request = departments.ask(alice, count=4)
    decide.approve(request, actor=bob)
    now = timezone.now()
    Reclaim.objects.update(state="done", sending_at=now, finished_at=now, read_back="inactive", read_back_at=now)
    people = [item.subscription_id for item in Reclaim.objects.order_by("pk")]
    for pk, (department, _seats) in zip(people, PLACES, strict=False):
        Subscription.objects.filter(pk=pk).update(department=department, cost_center="9", active=False)
    savings = reverse("admin:subscriptions_savings")
    assert "Board" in as_user(controller).get(savings).content.decode()
    settings.MIN_GROUP_SIZE = 5
    shown = as_user(controller).get(savings).content.decode()
    assert "Board" not in shown and "Legal" not in shown and "3 smaller groups together" in shown
    assert seats_by_place([departments.profile])["Board", "9"] == 1
