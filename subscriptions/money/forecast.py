"""The number of seats that will be held on a day: a straight line through the weekly numbers of our own downloads.

It knows no hiring plans. With less than eight weeks of downloads there is none.

Who comes or leaves in one week is still there, or gone, in the next ones. So the changes add up, and the band is that
of a random walk around the line. The distances of the weeks from the line would make it much too narrow: half a year
ahead, it would hold 3 of 10 values.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from itertools import dropwhile, pairwise
from math import sqrt

from integrations.models import IntegrationProfile
from licensehub.database.clock import database_now
from licensehub.ui.time_zones import company_day
from subscriptions.models import DownloadRun

MIN_WEEKS = 8
# Older weeks say little about the next ones.
MAX_WEEKS = 52
# Degrees of freedom -> how many standard errors hold 8 of 10 values (Student's t, two-sided).
QUANTILES = ((6, 1.440), (8, 1.397), (10, 1.372), (15, 1.341), (20, 1.325), (30, 1.310), (10_000, 1.299))


# The variance of the slope of a random walk, times its length and divided by the variance of a step: Durlauf and
# Phillips (1988), Trends versus random walks in time series analysis.
SLOPE = 6 / 5


@dataclass(frozen=True, slots=True)
class Week:
    """The seats that the last complete download of a week found."""

    day: date
    seats: int


@dataclass(frozen=True, slots=True)
class Ahead:
    """The forecast for one day, not rounded."""

    day: date
    seats: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Forecast:
    """The seats on `day`; 8 of 10 times the number is from `low` to `high`. `weekly` is the change in a week.

    `path`: the last number, then each week until `day`. The band grows with the root of the time at first.
    """

    weeks: tuple[Week, ...]
    path: tuple[Ahead, ...]
    day: date
    seats: int
    low: int
    high: int
    weekly: float


def weekly_seats(profile: IntegrationProfile, license: str) -> list[Week]:
    """The weekly numbers of held seats, the oldest first; also of archived profiles of the organization."""
    profiles = IntegrationProfile.objects.of_organization(profile).values("pk")
    since = database_now() - timedelta(weeks=MAX_WEEKS)
    runs = DownloadRun.objects.complete().filter(profile__in=profiles, finished_at__gte=since)
    found: dict[tuple[int, int], Week] = {}
    for finished, stats in runs.order_by("finished_at").values_list("finished_at", "stats"):
        day = company_day(finished)
        if "by_license" in stats:
            found[day.isocalendar()[:2]] = Week(day, int(stats["by_license"].get(license, 0)))
    # Before somebody held it, the license type had perhaps another name: that was no week with 0 seats.
    return list(dropwhile(lambda week: not week.seats, found.values()))[-MAX_WEEKS:]


def forecast(weeks: Sequence[Week], *, day: date, less: int = 0) -> Forecast | None:
    """None with fewer than eight weeks. It starts at the last number; `less` seats are taken away before `day`."""
    if len(weeks) < MIN_WEEKS or (weeks[-1].day - weeks[0].day).days < 7 * (MIN_WEEKS - 1):
        return None
    xs = [(week.day - weeks[0].day).days for week in weeks]
    ys = [week.seats for week in weeks]
    number, x_mean, y_mean = len(weeks), sum(xs) / len(xs), sum(ys) / len(ys)
    spread = sum((x - x_mean) ** 2 for x in xs)
    slope = sum((x - x_mean) * (y - y_mean) for x, y in zip(xs, ys, strict=True)) / spread
    ahead = max(0, (day - weeks[-1].day).days)
    errors, variance = _quantile(number - 2), _daily_variance(xs, ys, slope)

    def after(days: int) -> Ahead:
        band = errors * sqrt(variance * (days + SLOPE * days**2 / xs[-1]))
        # Nobody knows on which day `less` seats are taken away, so they go evenly.
        seats = ys[-1] + slope * days - (less * days / ahead if ahead else less)
        return Ahead(
            weeks[-1].day + timedelta(days=days), *(max(0.0, one) for one in (seats, seats - band, seats + band))
        )

    path = tuple(after(days) for days in (*range(0, ahead, 7), ahead))
    return Forecast(
        weeks=tuple(weeks),
        path=path,
        day=day,
        seats=round(path[-1].seats),
        low=round(path[-1].low),
        high=round(path[-1].high),
        weekly=slope * 7,
    )


def _daily_variance(xs: Sequence[int], ys: Sequence[int], slope: float) -> float:
    """How much a day adds to the variance: by the changes from one number to the next, without the slope."""
    steps = zip(pairwise(xs), pairwise(ys), strict=True)
    return sum((b - a - slope * (to - since)) ** 2 / (to - since) for (since, to), (a, b) in steps) / (len(xs) - 2)


def _quantile(freedom: int) -> float:
    """The value for the next smaller number of degrees of freedom, which makes the band wider rather than narrower."""
    return next((value for most, value in reversed(QUANTILES) if most <= freedom), QUANTILES[0][1])
