"""The activity of one subscription on a time axis: seen activity, the idle time, and the threshold."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.utils.formats import date_format
from django.utils.text import capfirst
from django.utils.translation import gettext as _

from licensehub.database.clock import database_now
from licensehub.ui.formatting import day
from subscriptions.activity.retention import removed_before, thinned_before
from subscriptions.activity.snapshots import Change, activity_seen
from subscriptions.models import Direction, Reclaim, ReclaimState, Subscription

LEFT, RIGHT = 10, 620
USUAL_SPAN = timedelta(days=365)
MAX_SPAN = timedelta(days=3 * 365)
MARGIN = timedelta(days=14)
# A time of a few hours is visible, too.
MIN_WIDTH = 3
# Two labels need this distance.
LABEL_WIDTH = 150


@dataclass(frozen=True, slots=True)
class Timeline:
    """Positions are in units of the drawing, which is 700 wide."""

    dots: tuple[tuple[float, str], ...]
    months: tuple[tuple[float, str], ...]
    # The times in which the seat was taken: x, width and label of each.
    taken: tuple[tuple[float, float, str], ...]
    silent: tuple[float, float] | None
    beyond: tuple[float, float] | None
    threshold_x: float | None
    threshold_label: str
    # The top of its line. It is below the label of the last activity if the line would cross that label.
    threshold_top: int
    last_x: float | None
    last_label: str
    last_label_x: float
    last_anchor: str
    changes: int
    # Before this day, only one change a month is kept; empty when all changes are kept.
    thinned_before: str
    # Before this day, no change is kept; empty when all are.
    removed_before: str
    summary: str


def timeline(
    row: Subscription,
    threshold: int,
    changes: Mapping[Subscription, Sequence[Change]],
    reclaims: Iterable[Reclaim],
) -> Timeline:
    """`changes` and `reclaims` are those of all rows of this person: see `activity.person_rows`."""
    now = database_now()
    moments = sorted({moment for one, found in changes.items() for moment in activity_seen(one, found)})
    since = row.idle_since
    begin = _begin(since, now)
    crossed = since + timedelta(days=threshold) if since else None
    scale = _Scale(begin, now)
    last_x = scale.x(since) if since and since >= begin else None
    over = crossed is not None and crossed <= now
    silent_end = scale.x(crossed) if crossed and over else RIGHT
    silent_start = scale.x(since) if since else RIGHT
    return Timeline(
        dots=tuple((scale.x(moment), day(moment)) for moment in moments if moment >= begin),
        months=scale.months(),
        taken=tuple(_taken(reclaims, scale)),
        silent=(silent_start, round(silent_end - silent_start, 1)) if since else None,
        beyond=(silent_end, round(RIGHT - silent_end, 1)) if over else None,
        threshold_x=silent_end if over else None,
        threshold_label=_("{day}: {threshold} days").format(day=day(crossed), threshold=threshold) if over else "",
        threshold_top=40 if over and silent_end - (LEFT if last_x is None else last_x) < LABEL_WIDTH else 20,
        last_x=last_x,
        last_label=_last_label(row, since),
        last_label_x=LEFT if last_x is None else last_x,
        last_anchor=_anchor(LEFT if last_x is None else last_x),
        changes=sum(map(len, changes.values())),
        thinned_before=day(thinned) if (thinned := thinned_before(row.profile)) else "",
        removed_before=day(removed) if (removed := removed_before(row.profile)) else "",
        summary=_summary(row, threshold, crossed if over else None),
    )


def _taken(reclaims: Iterable[Reclaim], scale: _Scale) -> Iterator[tuple[float, float, str]]:
    """Each verified reclaim, until the person held a seat again or until today."""
    for item in reclaims:
        if item.direction == Direction.DEACTIVATE and item.state == ReclaimState.DONE and item.finished_at:
            text = _("Reclaimed {day}, active again {until}") if item.back_at else _("Reclaimed {day}")
            start, stop = scale.x(item.finished_at), scale.x(item.back_at or scale.end)
            label = text.format(day=day(item.finished_at), until=day(item.back_at))
            yield start, max(round(stop - start, 1), MIN_WIDTH), label


def _last_label(row: Subscription, since: datetime | None) -> str:
    if since is None:
        return ""
    text = _("{day}, last activity") if row.last_activity_at else _("{day}, assigned, never active")
    return text.format(day=day(since))


def _anchor(x: float) -> str:
    """The end of a label that is placed at x, so that the label stays inside the drawing."""
    if x < LABEL_WIDTH:
        return "start"
    return "end" if x > RIGHT - LABEL_WIDTH / 2 else "middle"


def _begin(since: datetime | None, now: datetime) -> datetime:
    usual = now - USUAL_SPAN
    if since is None or since - MARGIN >= usual:
        return usual
    return max(since - MARGIN, now - MAX_SPAN)


def _summary(row: Subscription, threshold: int, crossed: datetime | None) -> str:
    if row.idle_since is None:
        return _("{vendor} gives no date for this person.").format(vendor=capfirst(row.profile.vendor))
    first = (
        _("Last activity {day}").format(day=day(row.last_activity_at)) if row.last_activity_at else _("Never active")
    )
    return (
        _("{last_activity}. Beyond the threshold of {threshold} days since {day}.").format(
            last_activity=first, threshold=threshold, day=day(crossed)
        )
        if crossed
        else f"{first}."
    )


@dataclass(frozen=True, slots=True)
class _Scale:
    begin: datetime
    end: datetime

    def x(self, moment: datetime) -> float:
        share = (moment - self.begin) / (self.end - self.begin)
        return round(LEFT + min(max(share, 0.0), 1.0) * (RIGHT - LEFT), 1)

    def months(self) -> tuple[tuple[float, str], ...]:
        """The first day of each month, or of every third month on a long axis."""
        step = 1 if self.end - self.begin <= USUAL_SPAN + MARGIN else 3
        marks = []
        moment = self.begin.replace(day=1, hour=0, minute=0, second=0, microsecond=0)
        while moment <= self.end:
            if moment >= self.begin and (moment.month - 1) % step == 0:
                marks.append((self.x(moment), date_format(moment, "M" if step == 1 else "M y")))
            moment = (moment + timedelta(days=32)).replace(day=1)
        return tuple(marks)
