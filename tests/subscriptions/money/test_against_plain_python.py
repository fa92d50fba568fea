"""Compare the ledger with a count of all rows in plain Python, at the edges of days, months, years and prices."""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Iterable
from datetime import date, datetime, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

import pytest
from django.utils import timezone

from integrations.models import IntegrationProfile, ProfileState
from subscriptions.models import (
    Price,
    Reclaim,
    ReclaimRequest,
    RemovalCandidate,
    RequestedRemoval,
    Subscription,
)
from subscriptions.money.savings import Ledger, Stage
from subscriptions.money.verified_seats import count_all_verified
from subscriptions.profiles import lifecycle
from subscriptions.reports.figures import amounts, figures, total
from tests.subscriptions.eligibility.test_past_counts import person
from tests.support.data.scenario import download

pytestmark = pytest.mark.django_db

LICENSES = ("full", "advanced", "free")
CURRENCIES = ("USD", "EUR", "JPY", "KWD")
# Seats and amount.
Sum = tuple[int, Decimal]


class World:
    """Three profiles, two of them of one organization, with random prices and reclaims."""

    def __init__(self, seed: int, zone: str, admin) -> None:
        self.dice = random.Random(seed)  # noqa: S311 - made-up people
        self.zone = ZoneInfo(zone)
        self.this = timezone.localdate(timezone=self.zone)
        self.profiles: list[IntegrationProfile] = []
        for number, organization in enumerate(("1", "1", "2")):
            profile = lifecycle.create_profile(
                name=f"P{number}", organization_id=f"307445734{organization}", kind="miro_enterprise", actor=None
            )
            members = [person(100 * number + n, active=200) for n in range(8)]
            download(profile, members, at=timezone.now())
            if number == 0:
                IntegrationProfile.objects.filter(pk=profile.pk).update(state=ProfileState.ARCHIVED)
            self.profiles.append(IntegrationProfile.objects.get(pk=profile.pk))
        for _ in range(16):
            self.enter_price(admin)
        self.prices = list(Price.objects.select_related("profile"))
        for row in Subscription.objects.order_by("pk"):
            for _ in range(3):
                self.take(row, admin)

    def day(self) -> date:
        """Some day of the last 500, often the first of a month or of a year."""
        found = self.this - timedelta(days=self.dice.randrange(500))
        return self.dice.choice((found, found.replace(day=1), found.replace(month=1, day=1)))

    def moment(self) -> datetime:
        midnight = datetime.combine(self.day(), datetime.min.time(), tzinfo=self.zone)
        edges = (timedelta(0), timedelta(microseconds=-1), timedelta(hours=1), timedelta(hours=-1))
        # In UTC, since the sum of a local time knows no change of the clock.
        shift = self.dice.choice((*edges, timedelta(seconds=self.dice.randrange(86_400))))
        return min(midnight.astimezone(ZoneInfo("UTC")) + shift, timezone.now())

    def enter_price(self, admin) -> None:
        dice, profile, license = self.dice, self.dice.choice(self.profiles), self.dice.choice(LICENSES)
        since = self.day() if dice.random() < 0.9 else self.this + timedelta(days=dice.randrange(1, 50))
        is_withdrawn = dice.random() < 0.2
        if Price.objects.valid().filter(profile=profile, license=license, valid_from=since).exists():
            return
        Price.objects.create(
            profile=profile,
            license=license,
            amount=Decimal(dice.choice((0, 1, 1999, 24000))) / 100,
            currency=dice.choice(CURRENCIES),
            per=dice.choice(("year", "month")),
            valid_from=since,
            entered_by=admin,
            withdrawn_at=timezone.now() if is_withdrawn else None,
        )

    def take(self, row: Subscription, admin) -> None:
        dice, at = self.dice, self.moment()
        license = dice.choice(LICENSES)
        same, evidence = {"profile": row.profile}, {"license": license}
        candidate = RemovalCandidate.objects.create(
            **same, subscription=row, run=row.first_run, state="closed_complete", evidence=evidence
        )
        request = ReclaimRequest.objects.create(**same, requested_by=admin, reason="Unused", expires_at=at, cap=50)
        removal = RequestedRemoval.objects.create(request=request, candidate=candidate, evidence=evidence)
        back = max(at, self.moment()) if dice.random() < 0.5 else None
        Reclaim.objects.create(
            **same,
            subscription=row,
            removal=removal,
            license=license,
            direction=dice.choice(("deactivate", "deactivate", "deactivate", "reactivate")),
            state=dice.choice(("done", "done", "done", "done", "failed", "in_doubt")),
            queued_at=at,
            finished_at=at,
            back_at=back,
            back_license=dice.choice(LICENSES) if back else "",
            bought_again=bool(back) and dice.random() < 0.7,
        )
        Subscription.objects.filter(pk=row.pk).update(department=dice.choice(("", "Design", "R&D, =1+1", "Ärzte")))

    # --- The naive truth ---

    def price(self, profile_id: int, license: str, moment: datetime) -> Price | None:
        """The last price of the organization that has begun on this local day and was not withdrawn."""
        day = moment.astimezone(self.zone).date()
        organization = next(one for one in self.profiles if one.pk == profile_id).organization_id
        found = [
            row
            for row in self.prices
            if row.license == license
            and row.profile.organization_id == organization
            and row.withdrawn_at is None
            and row.valid_from <= day
        ]
        return max(found, key=lambda row: (row.valid_from, row.pk), default=None)

    def counted(self, stage: Stage) -> Iterable[tuple[Reclaim, date, Price | None]]:
        """Each row of the stage, with its local day and its price."""
        for row in Reclaim.objects.filter(direction="deactivate", state="done").select_related("subscription"):
            assert row.finished_at
            price = self.price(row.profile_id, row.license, row.finished_at)
            moment = row.finished_at if stage == Stage.VERIFIED else row.back_at
            if (price and price.amount == 0) or moment is None:
                continue
            if stage == Stage.AGAIN:
                back = self.price(row.profile_id, row.back_license, moment)
                if not row.bought_again or (back and back.amount == 0):
                    continue
            yield row, moment.astimezone(self.zone).date(), price


def yearly(price: Price | None) -> Decimal:
    return (price.amount * (12 if price.per == "month" else 1)) if price else Decimal(0)


def summed(parts: Iterable[tuple[object, Decimal]]) -> dict[object, Sum]:
    found: dict[object, Sum] = defaultdict(lambda: (0, Decimal(0)))
    for key, amount in parts:
        found[key] = (found[key][0] + 1, found[key][1] + amount)
    return dict(found)


@pytest.mark.parametrize(
    ("seed", "zone"),
    [(2, "Pacific/Kiritimati"), (4, "America/Havana")],
)
def test_the_ledger_is_what_plain_python_counts(seed, zone, settings, admin_user):
    settings.TIME_ZONE = zone
    world = World(seed, zone, admin_user)
    count_all_verified()
    seen = 0
    for year in {world.this.year - number for number in range(2)}:
        ledger = Ledger(world.profiles, year)
        groups = ledger.groups()
        for stage in (Stage.VERIFIED, Stage.AGAIN):
            rows = [entry for entry in world.counted(stage) if entry[1].year == year]
            seen += len(rows)
            expected = summed(
                ((price.currency if price else "", row.profile_id, row.license), yearly(price))
                for row, _, price in rows
            )
            got = {
                (group.currency, line.profile.pk, line.license): (line.cells[stage].seats, line.cells[stage].amount)
                for group in groups
                for line in group.lines
                if line.cells[stage].seats
            }
            assert got == expected, (year, stage)
            for currency in {key[0] for key in expected}:
                mine = [entry for entry in rows if (entry[2].currency if entry[2] else "") == currency]
                months = {part["month"]: part[stage.value] for part in ledger.by_month(currency) if part[stage.value]}
                assert months == {
                    day: count
                    for day, (count, _) in summed((at.replace(day=1), Decimal(0)) for _, at, _ in mine).items()
                }
                departments = {
                    part["department"]: (part[stage.value].seats, part[stage.value].amount)
                    for part in ledger.by_department(currency)
                    if part[stage.value].seats
                }
                assert departments == summed((row.subscription.department, yearly(price)) for row, _, price in mine)
    assert seen > 30


def test_the_report_of_each_month_is_what_plain_python_counts(settings, admin_user):
    settings.TIME_ZONE = "America/Havana"
    world = World(7, "America/Havana", admin_user)
    verified, again = (list(world.counted(stage)) for stage in (Stage.VERIFIED, Stage.AGAIN))
    for month in sorted({day.replace(day=1) for _, day, _ in (*verified, *again)})[-5:]:
        for data in figures(world.profiles, month):
            mine = [
                [entry for entry in rows if entry[1].replace(day=1) == month and entry[0].profile_id == data["profile"]]
                for rows in (verified, again)
            ]
            assert [total(data, "reclaimed"), total(data, "again")] == [len(rows) for rows in mine]
            expected: dict[str, Decimal] = defaultdict(Decimal)
            for sign, rows in zip((1, -1), mine, strict=True):
                for _, _, price in rows:
                    if price:
                        expected[price.currency] += sign * yearly(price)
            saved = amounts(data, "saved")
            assert {code: amount for code, amount in saved.items() if amount} == {
                code: amount for code, amount in expected.items() if amount
            }
