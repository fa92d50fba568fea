"""The contents of the page *Contract*: seats bought and used, the dates, the forecast, prices and reminders."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

from django.utils.formats import number_format
from django.utils.text import capfirst
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from licensehub.ui.formatting import day, inside, name_of, number, percent
from licensehub.ui.time_zones import company_day
from subscriptions.models import (
    CandidateState,
    Contract,
    NoticeState,
    NotificationKind,
    NotificationRecipient,
    RemovalCandidate,
    Subscription,
)
from subscriptions.money.beside import yearly_cost
from subscriptions.money.contracts import REMINDERS
from subscriptions.money.forecast import MIN_WEEKS, Forecast, Week, forecast, weekly_seats
from subscriptions.money.licenses import bought_by_vendor

# The assumptions of the forecast, in the order of the switch.
ASSUMPTIONS = {
    "none": (gettext_lazy("Take back nothing"), ()),
    "approved": (gettext_lazy("Approved"), (CandidateState.AWAITING_REVOCATION,)),
    "all": (
        gettext_lazy("All candidates"),
        (
            CandidateState.AWAITING_REVOCATION,
            CandidateState.READY,
            CandidateState.AWAITING_USER,
            CandidateState.AWAITING_APPROVAL,
        ),
    ),
}
WIDTH, LEFT, RIGHT, TOP, BOTTOM = 700, 48, 620, 16, 190
LABEL_WIDTH, LABEL_HEIGHT = 80, 15
# The width of the words at a day on the time line.
WORDS = 200


def contract_context(row: Contract, assumed: str) -> dict[str, Any]:
    """`assumed` is a key of ASSUMPTIONS."""
    today = company_day()
    used = Subscription.objects.filter(profile=row.profile_id, license=row.license).held().count()
    takes = _candidates(row)
    weeks = weekly_seats(row.profile, row.license)
    # What was taken back since the last download is no candidate any more, and must not come back into the forecast.
    less = takes[assumed] + (weeks[-1].seats - used if weeks else 0)
    found = forecast(weeks, day=row.renews_on, less=less) if row.renews_on >= today else None
    in_force = row.starts <= today < row.renews_on
    return {
        "row": row,
        "other_number": _other_number(row) if in_force else "",
        "owner": name_of(row.owner) if row.owner else _("nobody yet"),
        "in_force": in_force,
        "used": used,
        "free": row.seats - used,
        "share": percent(round(Decimal(100 * used) / row.seats, 1)),
        "cost": yearly_cost({(row.profile_id, row.license): row.seats}),
        "forecast": found,
        **(_forecast_context(row, found) if found else {}),
        "is_over": row.renews_on < today,
        "weeks": weeks,
        "min_weeks": MIN_WEEKS,
        "assumptions": [
            {
                "key": key,
                "label": f"{label}, {number(takes[key])}" if key != "none" else label,
                "is_chosen": key == assumed,
            }
            for key, (label, _states) in ASSUMPTIONS.items()
        ],
        "taken": takes[assumed],
        "dates": time_line(row, today),
        "reminders": _reminders(row, today),
    }


def _other_number(row: Contract) -> str:
    """A sentence if the vendor says another number of seats than the contract; else empty."""
    said = bought_by_vendor(row.profile).get(row.license, row.seats)
    if said == row.seats:
        return ""
    return _(
        "{vendor} says that {said} {license} licenses are bought, and this contract says {entered}. “Bought and used” "
        "and the seat floors count with the number of {vendor}. Correct the contract, or ask {vendor}."
    ).format(
        vendor=capfirst(row.profile.vendor), said=number(said), license=row.license_label, entered=number(row.seats)
    )


def _forecast_context(row: Contract, found: Forecast) -> dict[str, Any]:
    fewer = row.seats - found.seats
    return {
        "fewer": fewer,
        "fewer_cost": yearly_cost({(row.profile_id, row.license): abs(fewer)}),
        "apart": abs(fewer),
        "apart_range": _range(row.seats - found.high, row.seats - found.low),
        "chart": chart(found, row.seats),
        "weekly": _weekly(found),
    }


def _range(low: int, high: int) -> str:
    """`78 to 154 fewer`, `2 to 6 more`, `4 more to 10 fewer`. Both numbers say how many fewer; below 0 it is more."""
    if low >= 0:
        return _("{low} to {high} fewer").format(low=number(low), high=number(high))
    if high <= 0:
        return _("{low} to {high} more").format(low=number(-high), high=number(-low))
    return _("{more} more to {fewer} fewer").format(more=number(-low), fewer=number(high))


def _weekly(found: Forecast) -> str:
    """`2.5 more`."""
    text = _("{seats} more") if found.weekly >= 0 else _("{seats} fewer")
    return text.format(seats=number_format(abs(found.weekly), 1))


def _candidates(row: Contract) -> dict[str, int]:
    mine = RemovalCandidate.objects.filter(profile=row.profile_id, license=row.license)
    return {
        key: mine.filter(state__in=states).count() if states else 0 for key, (_label, states) in ASSUMPTIONS.items()
    }


@dataclass(frozen=True, slots=True)
class Mark:
    """One day on the time line. `anchor` is where its text stands: start, middle or end."""

    x: float
    label: str
    text: str
    anchor: str


def time_line(row: Contract, today: date) -> dict[str, Any]:
    """The days from before the first reminder until after the renewal, as positions."""
    first = min(today, row.notice_by - timedelta(days=REMINDERS[0] + 10))
    # Room at the right for the words of the renewal.
    last = max(row.renews_on + timedelta(days=max(20, (row.renews_on - first).days // 5)), today)

    def x(moment: date) -> float:
        return round(20 + (moment - first).days / max(1, (last - first).days) * 960, 1)

    notice = x(row.notice_by)

    def mark(label: str, moment: date) -> Mark:
        place = x(moment)
        # The words of the notice end at its line where the renewal has no room for them.
        is_narrow = place == notice and notice > WORDS and x(row.renews_on) - notice < WORDS
        anchor = "end" if place > 880 or is_narrow else "start"
        return Mark(place, label, f"{day(moment)}, {_in_days(moment, today)}", anchor)

    return {
        "marks": [
            mark(_("Today"), today),
            mark(_("Last day of notice"), row.notice_by),
            mark(_("Renewal"), row.renews_on),
        ],
        "open": (x(max(today, first)), max(0.0, x(row.notice_by) - x(today))),
        "late": (x(max(row.notice_by, today)), max(0.0, x(row.renews_on) - x(max(row.notice_by, today)))),
        "reminders": [
            (x(row.notice_by - timedelta(days=days)), ngettext("{} day", "{} days", days).format(days))
            for days in REMINDERS
        ],
    }


def _in_days(moment: date, today: date) -> str:
    left = (moment - today).days
    if left == 0:
        return _("today")
    if left > 0:
        return ngettext("in {} day", "in {} days", left).format(number(left))
    return ngettext("{} day ago", "{} days ago", -left).format(number(-left))


def _reminders(row: Contract, today: date) -> list[dict[str, Any]]:
    """The reminders by mail, with the people who got each."""
    told = NotificationRecipient.objects.filter(
        notification__kind=NotificationKind.CONTRACT,
        notification__profile=row.profile_id,
        notification__key__startswith=f"contract:{row.pk}:{row.notice_by.isoformat()}:",
        mail__isnull=False,
    ).select_related("notification", "mail", "mail__user")
    people: dict[str, list[str]] = {}
    for one in told:
        if mail := one.mail:
            name = name_of(mail.user)
            shown = name if mail.state == NoticeState.SENT else f"{name} ({inside(mail.get_state_display())})"
            people.setdefault(one.notification.key.rpartition(":")[2], []).append(shown)
    lines = []
    for days in REMINDERS:
        due = row.notice_by - timedelta(days=days)
        names = sorted(set(people.get(str(days), ())))
        text = (
            _("To {names}").format(names=", ".join(names))
            if names
            else capfirst(_in_days(due, today))
            if due >= today
            else _("Not sent: the contract was entered or changed after this day")
            if due < company_day(row.changed_at)
            else _("Not sent")
        )
        lines.append(
            {
                "title": _("{days} days before notice").format(days=days),
                "day": day(due),
                "text": text,
                "is_sent": bool(names),
            }
        )
    return lines


def chart(found: Forecast, bought: int) -> dict[str, Any]:
    """The weekly numbers, the line to the renewal with its band, and the seats bought, as positions."""
    weeks: Sequence[Week] = found.weeks
    numbers = [week.seats for week in weeks]
    bottom = min(*numbers, *(one.low for one in found.path), bought)
    top = max(*numbers, *(one.high for one in found.path), bought)
    gap = max(4, (top - bottom) / 10)
    bottom, top = max(0, bottom - gap), top + gap
    whole = max(1, (found.day - weeks[0].day).days)

    def x(moment: date) -> float:
        return round(LEFT + (moment - weeks[0].day).days / whole * (RIGHT - LEFT), 1)

    def y(seats: float) -> float:
        return round(BOTTOM - (seats - bottom) / (top - bottom) * (BOTTOM - TOP), 1)

    today, end, end_y, bought_y = x(weeks[-1].day), x(found.day), y(found.seats), y(bought)
    # The two labels at the right, and the days below, must not be printed over one another.
    apart = max(0.0, (LABEL_HEIGHT - abs(end_y - bought_y)) / 2) * (1 if end_y >= bought_y else -1)
    days = [(x(weeks[0].day), day(weeks[0].day)), (today, day(weeks[-1].day)), (end, day(found.day))]
    if min(today - days[0][0], end - today) < LABEL_WIDTH:
        del days[1]
    return {
        "points": " ".join(f"{x(week.day)},{y(week.seats)}" for week in weeks),
        "line": " ".join(f"{x(one.day)},{y(one.seats)}" for one in found.path),
        "band": " ".join(
            f"{x(one.day)},{y(edge)}"
            for one, edge in (
                *((one, one.low) for one in found.path),
                *((one, one.high) for one in reversed(found.path)),
            )
        ),
        "bought_y": bought_y,
        "bought_label_y": bought_y - apart,
        "end_x": end,
        "end_y": end_y,
        "end_label_y": end_y + apart,
        "grid": [
            (y(value), number(round(value))) for value in (bottom + (top - bottom) * step / 4 for step in range(5))
        ],
        "days": days,
    }
