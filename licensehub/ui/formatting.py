"""Dates, two-line cells, and badges with an icon and a word, for all screens."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from datetime import date, datetime
from math import ceil

from django.contrib.auth.models import User
from django.utils import timezone
from django.utils.formats import date_format, number_format
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import ngettext

EMPTY = "–"
UNITS = ((86400, "{} day", "{} days"), (3600, "{} hour", "{} hours"), (60, "{} minute", "{} minutes"))
TONES = frozenset({"ok", "warning", "error", "info", "neutral"})


def ago(moment: datetime | None, *, now: datetime | None = None) -> str:
    """`94 days ago`, `in 3 days`, `12 minutes ago`; empty for None."""
    if moment is None:
        return ""
    now = now or timezone.now()
    passed = int((now - moment).total_seconds())
    if passed < 0:
        return f"in {_to_come(moment, now)}"
    for size, one, many in UNITS:
        if count := passed // size:
            return f"{ngettext(one, many, count).format(count)} ago"
    return "just now"


def left(moment: datetime | None, *, now: datetime | None = None) -> str:
    """`3 days left` from the first second of three days, until `1 minute left`; then `2 days ago`; empty for None."""
    now = now or timezone.now()
    return f"{_to_come(moment, now)} left" if moment and moment > now else ago(moment, now=now)


def _to_come(moment: datetime, now: datetime) -> str:
    """Days are those of the calendar, as in a calendar and in mails. A part of an hour or a minute is a whole one."""
    seconds = (moment - now).total_seconds()
    size, one, many = next((unit for unit in UNITS if seconds >= unit[0]), UNITS[-1])
    # One day has 25 hours when the clock goes back.
    days = max(1, (timezone.localdate(moment) - timezone.localdate(now)).days)
    count = days if size == UNITS[0][0] else ceil(seconds / size)
    return ngettext(one, many, count).format(count)


def day(moment: datetime | date | None) -> str:
    """`Aug 21, 2026`."""
    if moment is None:
        return EMPTY
    local = timezone.localtime(moment) if isinstance(moment, datetime) else moment
    return date_format(local, "M j, Y")


def day_of_year(moment: datetime) -> str:
    """`Aug 21`, e.g. for the axis of a chart."""
    return date_format(timezone.localtime(moment), "M j")


def day_and_time(moment: datetime | None) -> str:
    """`Aug 21, 2026, 14:08`."""
    return date_format(timezone.localtime(moment), "M j, Y, H:i") if moment else EMPTY


def number(value: int) -> str:
    """`1,240`; in German `1.240`."""
    return number_format(value, force_grouping=True)


def name_of(user: User | None) -> str:
    """The full name of an account, else its user name."""
    return (user.get_full_name() or user.get_username()) if user else EMPTY


def two_lines(first: str, second: str = "") -> SafeString:
    return format_html('<span class="lh-two-lines">{}<small>{}</small></span>', first, second)


def day_ago(moment: datetime | None, *, never: str = "Never", hint: str = "") -> SafeString:
    """The date, and below it how long ago it is."""
    if moment is None:
        return two_lines(never, hint)
    return two_lines(day(moment), ago(moment))


def badge(label: str, *, tone: str, icon: str) -> SafeString:
    """A state as an icon (a Material Symbols name) and a word, never as color alone."""
    if tone not in TONES:
        raise ValueError(f"A badge's tone is one of {', '.join(sorted(TONES))}, not {tone}")
    return format_html(
        '<span class="lh-badge lh-{}"><span class="material-symbols-outlined" aria-hidden="true">{}</span>{}</span>',
        tone,
        icon,
        label,
    )


def counts_of(levels: Iterable[str]) -> str:
    """`1 error, 2 not checked, 9 passed`, the worst first."""
    found = Counter(levels)
    labels = {
        "error": ngettext("error", "errors", found["error"]),
        "warning": ngettext("warning", "warnings", found["warning"]),
        "not_checked": "not checked",
        "ok": "passed",
    }
    return ", ".join(f"{found[level]} {label}" for level, label in labels.items() if found[level])
