"""Charts as numbers: the position of each bar, line and label. Templates draw them as SVG, style sheets color them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from subscriptions.models import DownloadRun
from subscriptions.stats import BAND_DAYS, BANDS

PITCH, BAR, BASE, TALLEST = 46, 39, 210, 160
NEVER_X = PITCH * (BANDS + 1) + 34
# A bar this many times taller than the next one is cut, because all others would look flat.
GIANT = 2.0


@dataclass(frozen=True, slots=True)
class Bar:
    """`split` is where the threshold cuts through the bar, counted from its left edge."""

    key: str
    label: str
    count: int
    x: float
    y: float
    height: float
    tone: str
    cut: bool
    split: float = 0.0

    @property
    def middle(self) -> float:
        return self.x + BAR / 2

    @property
    def number_y(self) -> float:
        return self.y - 7

    @property
    def tick(self) -> str:
        return "Never" if self.key == "never" else f"{BAND_DAYS * BANDS}+" if self.key == _last() else ""

    @property
    def gap(self) -> str:
        """The slanted gap through a cut bar, as the points of a polygon."""
        top = self.y + 16
        left, right = self.x - 2, self.x + BAR + 2
        return f"{left},{top + 8} {right},{top} {right},{top + 5} {left},{top + 13}"

    @property
    def split_x(self) -> float:
        return self.x + self.split

    @property
    def split_width(self) -> float:
        return BAR - self.split


@dataclass(frozen=True, slots=True)
class Histogram:
    bars: tuple[Bar, ...]
    threshold: int
    line_x: float
    label_x: float
    label_anchor: str
    ticks: tuple[tuple[float, str], ...]

    @property
    def summary(self) -> str:
        return "; ".join(f"{bar.label}: {bar.count:,}" for bar in self.bars)


def _last() -> str:
    return str(BAND_DAYS * BANDS)


def histogram(stats: Mapping[str, Any], threshold: int, *, beside: Mapping[str, Any] | None = None) -> Histogram:
    """Held seats by days since the last activity, in bands of 30 days, and those never active.

    `beside`: the statistics of another histogram that is drawn to the same scale.
    """
    counts = _bands(stats)
    ceiling = _ceiling(list(counts.values()))
    if beside:
        ceiling = max(ceiling, _ceiling(list(_bands(beside).values())))
    bars = tuple(_bar(key, counts[key], ceiling, threshold) for key in counts)
    line_x = min(threshold / BAND_DAYS, BANDS + 1) * PITCH - (PITCH - BAR) / 2
    flipped = line_x > PITCH * (BANDS - 2)
    ticks = tuple((PITCH * band - (PITCH - BAR) / 2, str(BAND_DAYS * band)) for band in range(BANDS))
    return Histogram(
        bars=bars,
        threshold=threshold,
        line_x=round(line_x, 1),
        label_x=round(line_x + (-8 if flipped else 8), 1),
        label_anchor="end" if flipped else "start",
        ticks=ticks,
    )


def _bands(stats: Mapping[str, Any]) -> dict[str, int]:
    """The key of each bar -> its count."""
    idle = stats.get("idle", {})
    keys = [str(BAND_DAYS * band) for band in range(BANDS + 1)]
    return {**{key: int(idle.get(key, 0)) for key in keys}, "never": int(stats.get("never", 0))}


def _ceiling(counts: list[int]) -> float:
    """The count that fills the height. A much larger bar is ignored here, and drawn with a cut."""
    tallest, *others = sorted(counts, reverse=True)
    second = others[0]
    if second and tallest > GIANT * second:
        return second * 1.15
    return max(tallest, 1)


def _bar(key: str, count: int, ceiling: float, threshold: int) -> Bar:
    height = round(min(count / ceiling, 1.0) * TALLEST, 1)
    if count:
        height = max(height, 2.0)
    start = int(key) if key != "never" else 0
    inside = key != "never" and start < threshold < start + BAND_DAYS
    return Bar(
        key=key,
        label=_label(key),
        count=count,
        x=NEVER_X if key == "never" else start / BAND_DAYS * PITCH,
        y=BASE - height,
        height=height,
        tone="never" if key == "never" else "active" if start < threshold else "beyond",
        cut=count > ceiling,
        split=round((threshold - start) / BAND_DAYS * PITCH - (PITCH - BAR) / 2, 1) if inside else 0.0,
    )


def _label(key: str) -> str:
    if key == "never":
        return "Never active"
    start = int(key)
    return f"{start} days or more" if key == _last() else f"{start} to {start + BAND_DAYS - 1} days"


@dataclass(frozen=True, slots=True)
class Line:
    """`points` of the line, `area` below it, and `dots` with tooltips."""

    points: str
    area: str
    dots: tuple[tuple[float, float, str], ...]
    last: int
    last_y: float


@dataclass(frozen=True, slots=True)
class Trend:
    active: Line
    inactive: Line
    grid: tuple[tuple[float, str], ...]
    days: tuple[tuple[float, str], ...]
    edge: int
    runs: int


LEFT, RIGHT, TOP, BOTTOM = 48, 560, 16, 196


def trend(runs: Sequence[DownloadRun], threshold: int) -> Trend | None:
    """Active and inactive seats over these complete runs, oldest first; None while there are fewer than two."""
    if len(runs) < 2:
        return None
    edge = -(-threshold // BAND_DAYS) * BAND_DAYS
    active = [_seats(run, below=edge) for run in runs]
    inactive = [_seats(run, above=edge) for run in runs]
    top = _round_up(max(*active, *inactive, 1))
    moments = [run.finished_at or run.started_at for run in runs]
    xs = _spread(moments)
    grid = tuple((_height(top * step / 4, top), f"{top * step // 4:,}") for step in range(5))
    days = _day_labels(moments, xs)
    return Trend(
        active=_line(xs, active, top, moments),
        inactive=_line(xs, inactive, top, moments),
        grid=grid,
        days=days,
        edge=edge,
        runs=len(runs),
    )


def _seats(run: DownloadRun, *, below: int | None = None, above: int | None = None) -> int:
    idle = {int(key): int(count) for key, count in run.stats.get("idle", {}).items()}
    if below is not None:
        return sum(count for start, count in idle.items() if start < below)
    return sum(count for start, count in idle.items() if above is not None and start >= above)


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


def _line(xs: list[float], values: list[int], top: int, moments: Sequence[datetime]) -> Line:
    spots = [(x, _height(value, top)) for x, value in zip(xs, values, strict=True)]
    points = " ".join(f"{x},{y}" for x, y in spots)
    dots = tuple(
        (x, y, f"{moment:%b} {moment.day}: {value:,}")
        for (x, y), value, moment in zip(spots, values, moments, strict=True)
    )
    return Line(points, f"{xs[0]},{BOTTOM} {points} {xs[-1]},{BOTTOM}", dots, values[-1], spots[-1][1])


def _day_labels(moments: Sequence[datetime], xs: list[float]) -> tuple[tuple[float, str], ...]:
    """Day labels that fit on the axis without overlapping; always the last one."""
    labels = [(xs[-1], f"{moments[-1]:%b} {moments[-1].day}")]
    for moment, x in zip(reversed(moments[:-1]), reversed(xs[:-1]), strict=True):
        if labels[-1][0] - x >= 64:
            labels.append((x, f"{moment:%b} {moment.day}"))
    return tuple(reversed(labels))
