"""The savings as a ledger: potential, approved, verified, bought again, saved. Each number is the sum of its rows.

A reclaim counts when it was read back as inactive, at the price of that day and for a whole year. It is subtracted in
the month in which the seat is held again: see `activity.returns`. A license type that costs nothing counts nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal
from enum import StrEnum
from typing import Any

from django.db.models import Count, F, Q, QuerySet, Sum, Value
from django.db.models.functions import TruncMonth
from django.utils import timezone
from django.utils.translation import gettext as _

from integrations.models import IntegrationProfile
from licensehub.ui.time_zones import company_day, company_midnight
from subscriptions.models import CandidateState, Price, Reclaim, RemovalCandidate, VerifiedSeats
from subscriptions.models.reclaims.reclaim import VERIFIED
from subscriptions.money import candidate_seats
from subscriptions.money.candidate_seats import COUNTED_STATES
from subscriptions.money.prices import PriceList
from subscriptions.money.verified_seats import not_counted


class Stage(StrEnum):
    POTENTIAL = "potential"
    APPROVED = "approved"
    VERIFIED = "verified"
    AGAIN = "again"
    SAVED = "saved"


# Profile id, license, price id, seats.
Counted = tuple[int, str, int | None, int]
# The stages that have rows; what is saved is the difference of the last two.
STAGES = (Stage.POTENTIAL, Stage.APPROVED, Stage.VERIFIED, Stage.AGAIN)


@dataclass(slots=True)
class Cell:
    """Seats, and their yearly amount at the price of each."""

    seats: int = 0
    amount: Decimal = Decimal(0)

    def add(self, seats: int, price: Price | None) -> None:
        self.seats += seats
        self.amount += (price.yearly if price else Decimal(0)) * seats

    def __add__(self, other: Cell) -> Cell:
        return Cell(self.seats + other.seats, self.amount + other.amount)

    def __sub__(self, other: Cell) -> Cell:
        return Cell(self.seats - other.seats, self.amount - other.amount)


@dataclass(slots=True)
class Line:
    """One license type of one profile, in one currency; without a currency only seats count."""

    profile: IntegrationProfile
    license: str
    currency: str
    price: Price | None
    cells: dict[Stage, Cell] = field(default_factory=lambda: {stage: Cell() for stage in STAGES})

    @property
    def label(self) -> str:
        return self.profile.license_label(self.license) or _("Unknown")

    @property
    def saved(self) -> Cell:
        return self.cells[Stage.VERIFIED] - self.cells[Stage.AGAIN]


@dataclass(frozen=True, slots=True)
class Group:
    """All lines of a currency, or all without a price."""

    currency: str
    lines: list[Line]

    @property
    def saved(self) -> Cell:
        return Cell(
            sum(line.saved.seats for line in self.lines), sum((line.saved.amount for line in self.lines), Decimal(0))
        )


class Ledger:
    """The savings of a calendar year, in the company's time zone. Potential and approved are those of now."""

    def __init__(self, profiles: Sequence[IntegrationProfile], year: int) -> None:
        self.profiles = {profile.pk: profile for profile in profiles}
        self.year = year
        self.prices = PriceList(profiles)

    def groups(self, stages: Sequence[Stage] = STAGES, *, last_counts: bool = False) -> list[Group]:
        """The lines by currency; those without a price come last. Only these stages are counted.

        With `last_counts`, the candidates of large profiles are those of the last minute.
        """
        found: dict[tuple[str, int, str], Line] = {}
        candidates = self._candidates(last_counts) if {Stage.POTENTIAL, Stage.APPROVED} & set(stages) else {}
        for stage in stages:
            for profile_id, license, price_id, seats in (
                candidates[stage] if stage in candidates else self._counted(stage)
            ):
                price = self.prices.by_id.get(price_id) if price_id else None
                if price and price.is_free:
                    continue
                key = (price.currency if price else "", profile_id, license)
                if key not in found:
                    found[key] = Line(
                        self.profiles[profile_id], license, key[0], self._shown(profile_id, license, price)
                    )
                found[key].cells[stage].add(seats, price)
        currencies = sorted({currency for currency, _, _ in found}, key=lambda code: (not code, code))
        return [Group(code, [found[key] for key in sorted(found) if key[0] == code]) for code in currencies]

    def _shown(self, profile_id: int, license: str, price: Price | None) -> Price | None:
        """Today's price, if it is of the same currency."""
        now = self.prices.now(profile_id, license)
        return now if now and price and now.currency == price.currency else price

    def _candidates(self, last_counts: bool) -> dict[Stage, list[Counted]]:
        """Count potential and approved seats at the price of today, with one statement that an index alone answers.

        Each state is counted by itself: then the index gives its licenses in order, which takes half the time of a hash
        table of states and licenses.
        """
        known = candidate_seats.last_counts(self.profiles) if last_counts else {}
        rows = [(pk, *row) for pk, counted in known.items() for row in counted]
        each = [_by_license(pk, state) for pk in self.profiles if pk not in known for state in COUNTED_STATES]
        found: dict[Stage, list[Counted]] = {Stage.POTENTIAL: [], Stage.APPROVED: []}
        for profile_id, state, license, seats in [*rows, *(each[0].union(*each[1:], all=True) if each else ())]:
            stage = Stage.APPROVED if state == CandidateState.AWAITING_REVOCATION else Stage.POTENTIAL
            price = self.prices.now(profile_id, license or "")
            found[stage].append((profile_id, license or "", price.pk if price else None, seats))
        return found

    def _counted(self, stage: Stage) -> list[Counted]:
        """The verified reclaims of the year, or those bought again in it; of one license there may be several rows."""
        if stage == Stage.VERIFIED:
            days, until = self._ended_days()
            return [*days, *self._counted_rows(stage, not_counted(self.profiles, until))]
        return self._counted_rows(stage, Q())

    def _ended_days(self) -> tuple[list[Counted], dict[int, datetime]]:
        """The counts of ended days, and the moment until which each profile is counted.

        One query reads both, so they agree.
        """
        first, end = self._span()
        in_year = Q(day__gte=first, day__lt=end)
        rows = VerifiedSeats.objects.filter(in_year | Q(seats=0), profile__in=self.profiles).order_by()
        priced = rows.annotate(price=self.prices.case(license="license", moment="day"))
        found = list(priced.values_list("profile_id", "license", "price", "until").annotate(Sum("seats")))
        days = [(profile, license, price, seats) for profile, license, price, _, seats in found if seats]
        return days, {profile: until for profile, _, _, until, _ in found}

    def _counted_rows(self, stage: Stage, condition: Q) -> list[Counted]:
        rows = self.rows(stage).filter(condition).order_by().values_list("profile_id", "license", "price")
        return [
            (profile, license or "", price, seats) for profile, license, price, seats in rows.annotate(seats=Count("*"))
        ]

    def rows(self, stage: Stage) -> QuerySet[Any]:
        """The rows behind a stage, with `price` (an id) and `at`, the moment that counts: candidates or reclaims."""
        if stage in (Stage.POTENTIAL, Stage.APPROVED):
            candidates = RemovalCandidate.objects.filter(profile__in=self.profiles)
            approved = Q(state=CandidateState.AWAITING_REVOCATION)
            chosen = candidates.filter(approved) if stage == Stage.APPROVED else candidates.withdrawable()
            return chosen.annotate(price=self.prices.case_now(license="license"), at=F("created_at"))
        taken = Reclaim.objects.filter(VERIFIED, profile__in=self.profiles)
        taken = taken.annotate(price=self.prices.case(license="license", moment="finished_at"))
        first, end = self._span()
        if stage == Stage.VERIFIED:
            return taken.filter(finished_at__gte=first, finished_at__lt=end).annotate(at=F("finished_at"))
        again = taken.filter(bought_again=True, back_at__gte=first, back_at__lt=end)
        free = [pk for pk, price in self.prices.by_id.items() if price.is_free]
        if free:
            # Back on a license that costs nothing, the seat was not bought again.
            again = again.annotate(back_price=self.prices.case(license="back_license", moment="back_at"))
            again = again.filter(Q(back_price=None) | ~Q(back_price__in=free))
        return again.annotate(at=F("back_at"))

    def chosen_rows(
        self,
        stage: Stage,
        *,
        currency: str,
        profile_id: int | None = None,
        license: str = "",
        month: int = 0,
        department: tuple[str, str] | None = None,
    ) -> QuerySet[Any]:
        """The rows behind a cell of the table, or of a whole group; of a month, or of a department and cost center."""
        ids = [pk for pk, price in self.prices.by_id.items() if price.currency == currency and not price.is_free]
        rows = self.rows(stage).filter(Q(price__in=ids) if currency else Q(price=None))
        if profile_id is not None:
            rows = rows.filter(profile_id=profile_id)
        if license:
            rows = rows.filter(license=license)
        if month:
            after = date(self.year + month // 12, month % 12 + 1, 1)
            rows = rows.filter(at__gte=company_midnight(date(self.year, month, 1)), at__lt=company_midnight(after))
        if department is not None:
            rows = rows.filter(subscription__department=department[0], subscription__cost_center=department[1])
        return rows

    def sum_of(self, rows: QuerySet[Any]) -> Cell:
        """The number of these rows, and their yearly amount."""
        cell = Cell()
        for price, seats in rows.order_by().values_list("price").annotate(Count("pk")):
            cell.add(seats, self.prices.by_id.get(price) if price else None)
        return cell

    def by_month(self, currency: str) -> list[dict[str, Any]]:
        """`month` (a date), `verified` and `again` (seats) for each month of the year."""
        found = {month: {"month": date(self.year, month, 1), "verified": 0, "again": 0} for month in range(1, 13)}
        zone = timezone.get_default_timezone()
        for stage in (Stage.VERIFIED, Stage.AGAIN):
            rows = self.chosen_rows(stage, currency=currency).order_by()
            months = rows.annotate(month=TruncMonth("at", tzinfo=zone)).values_list("month").annotate(Count("pk"))
            for month, seats in months:
                found[month.month][stage.value] = seats
        return list(found.values())

    def by_department(self, currency: str) -> list[dict[str, Any]]:
        """`department`, `cost_center`, `verified`, `again`, `saved` (cells), the largest saving first."""
        found: dict[tuple[str, str], dict[Stage, Cell]] = {}
        for stage in (Stage.VERIFIED, Stage.AGAIN):
            rows = self.chosen_rows(stage, currency=currency).order_by()
            names = ("subscription__department", "subscription__cost_center", "price")
            for department, center, price_id, seats in rows.values_list(*names).annotate(Count("pk")):
                cells = found.setdefault((department, center), {Stage.VERIFIED: Cell(), Stage.AGAIN: Cell()})
                cells[stage].add(seats, self.prices.by_id.get(price_id))
        lines = [
            {
                "department": department,
                "cost_center": center,
                "verified": cells[Stage.VERIFIED],
                "again": cells[Stage.AGAIN],
                "saved": cells[Stage.VERIFIED] - cells[Stage.AGAIN],
            }
            for (department, center), cells in found.items()
        ]
        return sorted(lines, key=lambda line: (-line["saved"].amount, -line["saved"].seats, line["department"]))

    def _span(self) -> tuple[datetime, datetime]:
        return company_midnight(date(self.year, 1, 1)), company_midnight(date(self.year + 1, 1, 1))


def _by_license(profile_id: int, state: CandidateState) -> QuerySet[Any]:
    """The candidates in one state, counted by license: rows of profile, state, license and seats."""
    rows = RemovalCandidate.objects.filter(profile=profile_id, state=state).order_by()
    named = rows.annotate(of=Value(profile_id), named=Value(state.value))
    return named.values_list("of", "named", "license").annotate(seats=Count("*"))


def years_with_savings(profiles: Iterable[IntegrationProfile]) -> list[int]:
    """From the year of the first verified reclaim to this year, the newest first."""
    this = company_day().year
    first = Reclaim.objects.filter(VERIFIED, profile__in=profiles).order_by("finished_at").first()
    start = company_day(first.finished_at).year if first and first.finished_at else this
    return list(range(this, start - 1, -1))
