"""Charts as numbers: the position of each bar, line and label. Templates draw them as SVG, style sheets color them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from licensehub.ui.formatting import day_of_year, number
from subscriptions.admin.widgets.counts import seats
from subscriptions.eligibility.people_counts import BAND_DAYS, BANDS, NEVER, PeopleCounts
from subscriptions.models import DownloadRun, Verdict
from subscriptions.models.subscription import NEEDS_REVIEW, TAKES_NO_SEAT

PITCH, BAR, BASE, TALLEST = 46, 39, 210, 160
NEVER_X = PITCH * (BANDS + 1) + 34
# A bar this many times taller than the next one is cut, because all others would look flat.
GIANT = 2.0
MIN_HEIGHT = 2.0


@dataclass(frozen=True, slots=True, eq=False)
class Shade:
    """One color of the bars. `tone` names it in the style sheet. `verdicts` is empty for all others.

    There is one object of each: to compare two by their fields would translate the labels each time.
    """

    tone: str
    label: str | Promise
    verdicts: tuple[str, ...] = ()
    # The label without its examples, if it has some.
    short: str | Promise = ""

    @property
    def name(self) -> str:
        return str(self.short or self.label)

    @property
    def listed(self) -> str:
        """The verdicts of this color, as the filter of the subscriptions reads them."""
        named = {*TAKES_NO_SEAT, *(verdict for shade in SHADES for verdict in shade.verdicts)}
        return ",".join(self.verdicts or (verdict for verdict in Verdict.values if verdict not in named))


# From the bottom of a bar to its top. The sum of the first one is the number of inactive people.
SHADES = (
    Shade("beyond", gettext_lazy("Inactive"), (Verdict.CANDIDATE,)),
    Shade("active", gettext_lazy("Active lately"), (Verdict.ACTIVE,)),
    Shade("never", gettext_lazy("To review"), tuple(NEEDS_REVIEW)),
    Shade("waiting", gettext_lazy("Not evaluated yet"), (Verdict.NOT_EVALUATED,)),
    Shade(
        "left",
        gettext_lazy("Left alone: not in scope, protected, new, or in cool-down"),
        short=gettext_lazy("Left alone"),
    ),
)
# In the preview of a rule: seats that are inactive by it, and not by the saved one.
NEW = Shade("new", gettext_lazy("More than by the saved rule"))
DRAWN = (SHADES[0], NEW, *SHADES[1:])
# The seats of a download that nobody has evaluated.
SEATS = Shade("plain", gettext_lazy("Seats"))


@dataclass(frozen=True, slots=True)
class Segment:
    """The part of a bar that has one color."""

    shade: Shade
    count: int
    y: float
    height: float


@dataclass(frozen=True, slots=True)
class Bar:
    key: str
    label: str
    count: int
    x: float
    segments: tuple[Segment, ...]
    cut: bool

    @property
    def y(self) -> float:
        return min((segment.y for segment in self.segments), default=float(BASE))

    @property
    def height(self) -> float:
        return round(BASE - self.y, 1)

    @property
    def middle(self) -> float:
        return self.x + BAR / 2

    @property
    def number_y(self) -> float:
        return self.y - 7

    @property
    def tick(self) -> str:
        return _("Never") if self.key == NEVER else f"{BAND_DAYS * BANDS}+" if self.key == _last() else ""

    @property
    def name(self) -> str:
        """`60 to 89 days: 14 seats (Inactive 9, Left alone 5)`"""
        parts = [f"{part.shade.name} {number(part.count)}" for part in self.segments if part.shade != SEATS]
        said = f"{self.label}: {seats(self.count)}"
        return f"{said} ({', '.join(parts)})" if parts else said

    @property
    def gap(self) -> str:
        """The slanted gap through a cut bar, as the points of a polygon."""
        top = self.y + 16
        left, right = self.x - 2, self.x + BAR + 2
        return f"{left},{top + 8} {right},{top} {right},{top + 5} {left},{top + 13}"


@dataclass(frozen=True, slots=True)
class Histogram:
    bars: tuple[Bar, ...]
    threshold: int
    line_x: float
    label_x: float
    label_anchor: str
    ticks: tuple[tuple[float, str], ...]
    # Each color with the number of its seats.
    legend: tuple[tuple[Shade, int], ...]
    # The line of the saved threshold, in the preview of another one.
    saved_x: float | None = None

    @property
    def summary(self) -> str:
        return "; ".join(f"{bar.label}: {number(bar.count)}" for bar in self.bars)


def _last() -> str:
    return str(BAND_DAYS * BANDS)


def histogram_of(people: PeopleCounts, threshold: int) -> Histogram:
    """Held seats by days since the last activity, in bands of 30 days, and those never active, by their verdict."""
    bands = {band: _shaded(verdicts) for band, verdicts in people.bands.items()}
    return _histogram(bands, threshold, _ceiling(_totals(bands)))


def histogram_of_preview(
    people: PeopleCounts, threshold: int, *, saved: PeopleCounts, saved_threshold: int
) -> Histogram:
    """The same for a rule that is not saved: where it finds more inactive seats than the saved one, and both lines."""
    before = saved.bands
    bands = {
        band: _with_new(_shaded(verdicts), before.get(band, Counter())[Verdict.CANDIDATE])
        for band, verdicts in people.bands.items()
    }
    drawn = _histogram(bands, threshold, _ceiling(_totals(bands)))
    return drawn if threshold == saved_threshold else replace(drawn, saved_x=_line_x(saved_threshold))


def _with_new(shades: Counter[Shade], saved: int) -> Counter[Shade]:
    """`saved`: how many are inactive by the saved rule."""
    new = max(0, shades[SHADES[0]] - saved)
    return Counter({**shades, SHADES[0]: shades[SHADES[0]] - new, NEW: new})


def histogram_of_download(stats: Mapping[str, Any], threshold: int, *, beside: Mapping[str, Any]) -> Histogram:
    """The held seats of a download, which have no verdicts.

    `beside`: the statistics of another histogram that is drawn to the same scale.
    """
    bands, others = _seats_of(stats), _seats_of(beside)
    return _histogram(bands, threshold, max(_ceiling(_totals(bands)), _ceiling(_totals(others))))


def _shaded(verdicts: Mapping[str, int]) -> Counter[Shade]:
    found = Counter[Shade]()
    for verdict, count in verdicts.items():
        shade = next((shade for shade in SHADES if verdict in shade.verdicts), SHADES[-1])
        found[shade] += count
    return found


def _seats_of(stats: Mapping[str, Any]) -> dict[str, Counter[Shade]]:
    bands = {**stats.get("idle", {}), NEVER: stats.get("never", 0)}
    return {band: Counter({SEATS: int(count)}) for band, count in bands.items()}


def _keys() -> list[str]:
    return [*(str(BAND_DAYS * band) for band in range(BANDS + 1)), NEVER]


def _totals(bands: Mapping[str, Counter[Shade]]) -> list[int]:
    return [bands.get(key, Counter()).total() for key in _keys()]


def _histogram(bands: Mapping[str, Counter[Shade]], threshold: int, ceiling: float) -> Histogram:
    line_x = _line_x(threshold)
    flipped = line_x > PITCH * (BANDS - 2)
    ticks = tuple((PITCH * band - (PITCH - BAR) / 2, str(BAND_DAYS * band)) for band in range(BANDS))
    sums = sum(bands.values(), Counter[Shade]())
    return Histogram(
        bars=tuple(_bar(key, bands.get(key, Counter()), ceiling) for key in _keys()),
        threshold=threshold,
        line_x=line_x,
        label_x=round(line_x + (-8 if flipped else 8), 1),
        label_anchor="end" if flipped else "start",
        ticks=ticks,
        legend=tuple((shade, sums[shade]) for shade in DRAWN if sums[shade] or shade in SHADES[:2]),
    )


def _line_x(threshold: int) -> float:
    return round(min(threshold / BAND_DAYS, BANDS + 1) * PITCH - (PITCH - BAR) / 2, 1)


def _ceiling(counts: list[int]) -> float:
    """The count that fills the height. A much larger bar is ignored here, and drawn with a cut."""
    tallest, *others = sorted(counts, reverse=True)
    second = others[0]
    if second and tallest > GIANT * second:
        return second * 1.15
    return max(tallest, 1)


def _bar(key: str, shades: Counter[Shade], ceiling: float) -> Bar:
    count = shades.total()
    whole = max(min(count / ceiling, 1.0) * TALLEST, MIN_HEIGHT)
    segments, bottom = [], float(BASE)
    for shade in (*DRAWN, SEATS):
        if shades[shade]:
            height = round(whole * shades[shade] / count, 1)
            bottom = round(bottom - height, 1)
            segments.append(Segment(shade, shades[shade], bottom, height))
    return Bar(
        key=key,
        label=_label(key),
        count=count,
        x=NEVER_X if key == NEVER else int(key) / BAND_DAYS * PITCH,
        segments=tuple(segments),
        cut=count > ceiling,
    )


def _label(key: str) -> str:
    if key == NEVER:
        return _("Never active")
    start = int(key)
    return (
        _("{start} days or more").format(start=start)
        if key == _last()
        else _("{first} to {last} days").format(first=start, last=start + BAND_DAYS - 1)
    )


# --- The trend --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Line:
    """`points` of the line, `area` below it, and `dots` with tooltips. The last number is written at `label_y`."""

    points: str
    area: str
    dots: tuple[tuple[float, float, str], ...]
    last: int
    label_y: float


@dataclass(frozen=True, slots=True)
class Trend:
    active: Line
    inactive: Line
    grid: tuple[tuple[float, str], ...]
    days: tuple[tuple[float, str], ...]
    runs: int


LEFT, RIGHT, TOP, BOTTOM = 48, 560, 16, 196
# The height of a number with its word below.
LABEL_HEIGHT = 34


def trend(runs: Sequence[DownloadRun], people: PeopleCounts) -> Trend | None:
    """Active and inactive seats after each of these runs, oldest first, and now. None while fewer than two have them.

    Each run has the numbers of its day, by the rule of that day.
    """
    counted = [(run.finished_at or run.started_at, run.stats["verdicts"]) for run in runs if "verdicts" in run.stats]
    if len(counted) < 2:
        return None
    points = [*counted, (max(people.at, counted[-1][0]), people.verdicts)]
    moments = [moment for moment, _ in points]
    active = [int(verdicts.get(Verdict.ACTIVE, 0)) for _, verdicts in points]
    inactive = [int(verdicts.get(Verdict.CANDIDATE, 0)) for _, verdicts in points]
    top = _round_up(max(*active, *inactive, 1))
    xs = _spread(moments)
    labels = _apart(_height(active[-1], top), _height(inactive[-1], top))
    return Trend(
        active=_line(xs, active, top, moments, labels[0]),
        inactive=_line(xs, inactive, top, moments, labels[1]),
        grid=tuple((_height(top * step / 4, top), number(top * step // 4)) for step in range(5)),
        days=_day_labels(moments, xs),
        runs=len(counted),
    )


def _apart(first: float, second: float) -> tuple[float, float]:
    """Move two labels apart so that neither covers the other, and both stay inside of the drawing."""
    upper, lower = min(first, second), max(first, second)
    missing = max(0.0, LABEL_HEIGHT - (lower - upper))
    lower = min(lower + missing / 2, BOTTOM)
    upper = min(max(upper - missing / 2, TOP), lower - LABEL_HEIGHT)
    if upper < TOP:
        upper, lower = TOP, max(lower, TOP + LABEL_HEIGHT)
    return (round(upper, 1), round(lower, 1)) if first <= second else (round(lower, 1), round(upper, 1))


def _round_up(value: int) -> int:
    """The next number that four grid lines divide evenly."""
    step = 4
    while step * 10 < value:
        step *= 10
    return -(-value // step) * step


def _spread(moments: Sequence[datetime]) -> list[float]:
    first, whole = moments[0], max((moments[-1] - moments[0]).total_seconds(), 1.0)
    return [round(LEFT + (moment - first).total_seconds() / whole * (RIGHT - LEFT), 1) for moment in moments]


def _height(value: float, top: int) -> float:
    return round(BOTTOM - value / top * (BOTTOM - TOP), 1)


def _line(xs: list[float], values: list[int], top: int, moments: Sequence[datetime], label_y: float) -> Line:
    spots = [(x, _height(value, top)) for x, value in zip(xs, values, strict=True)]
    points = " ".join(f"{x},{y}" for x, y in spots)
    dots = tuple(
        (x, y, f"{day_of_year(moment)}: {number(value)}")
        for (x, y), value, moment in zip(spots, values, moments, strict=True)
    )
    return Line(points, f"{xs[0]},{BOTTOM} {points} {xs[-1]},{BOTTOM}", dots, values[-1], label_y)


def _day_labels(moments: Sequence[datetime], xs: list[float]) -> tuple[tuple[float, str], ...]:
    """Day labels that fit on the axis without overlapping; always the last one. No day is named twice."""
    labels = [(xs[-1], day_of_year(moments[-1]))]
    for moment, x in zip(reversed(moments[:-1]), reversed(xs[:-1]), strict=True):
        if labels[-1][0] - x >= 64 and day_of_year(moment) != labels[-1][1]:
            labels.append((x, day_of_year(moment)))
    return tuple(reversed(labels))
