"""Dates, two-line cells, and badges with an icon and a word, for all screens."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from datetime import date, datetime
from decimal import Decimal
from functools import lru_cache
from math import ceil

from django.contrib.auth.models import User
from django.utils import timezone
from django.utils.formats import date_format, number_format
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import get_language, ngettext
from django.utils.translation import gettext as _

from licensehub.database.clock import database_now

EMPTY = "–"
DAY, HOUR, MINUTE = 86400, 3600, 60
UNITS = (DAY, HOUR, MINUTE)
TONES = frozenset({"ok", "warning", "error", "info", "neutral"})


def ago(moment: datetime | None, *, now: datetime | None = None) -> str:
    """`94 days ago`, `in 3 days`, `12 minutes ago`; empty for None."""
    if moment is None:
        return ""
    now = now or database_now()
    passed = int((now - moment).total_seconds())
    if passed < 0:
        size, count = _to_come(moment, now)
        return _IN[size](count).format(number(count))
    for size in UNITS:
        if count := passed // size:
            return _AGO[size](count).format(number(count))
    return _("just now")


def left(moment: datetime | None, *, now: datetime | None = None) -> str:
    """`3 days left` from the first second of three days, until `1 minute left`; then `2 days ago`; empty for None."""
    now = now or database_now()
    if not moment or moment <= now:
        return ago(moment, now=now)
    size, count = _to_come(moment, now)
    return _LEFT[size](count).format(number(count))


def _to_come(moment: datetime, now: datetime) -> tuple[int, int]:
    """The unit, and how many of it.

    Days are calendar days, as in mails. A begun hour or minute counts as a whole one.
    """
    seconds = (moment - now).total_seconds()
    size = next((unit for unit in UNITS if seconds >= unit), MINUTE)
    # One day has 25 hours when the clock goes back.
    days = max(1, (timezone.localdate(moment) - timezone.localdate(now)).days)
    return size, days if size == DAY else ceil(seconds / size)


# Whole phrases for each unit: in German, the form of a unit depends on the words before it.
_AGO = {
    DAY: lambda count: ngettext("{} day ago", "{} days ago", count),
    HOUR: lambda count: ngettext("{} hour ago", "{} hours ago", count),
    MINUTE: lambda count: ngettext("{} minute ago", "{} minutes ago", count),
}
_IN = {
    DAY: lambda count: ngettext("in {} day", "in {} days", count),
    HOUR: lambda count: ngettext("in {} hour", "in {} hours", count),
    MINUTE: lambda count: ngettext("in {} minute", "in {} minutes", count),
}
_LEFT = {
    DAY: lambda count: ngettext("{} day left", "{} days left", count),
    HOUR: lambda count: ngettext("{} hour left", "{} hours left", count),
    MINUTE: lambda count: ngettext("{} minute left", "{} minutes left", count),
}


def day(moment: datetime | date | None) -> str:
    """`Aug 21, 2026`."""
    if moment is None:
        return EMPTY
    local = timezone.localtime(moment).date() if isinstance(moment, datetime) else moment
    return _written(local, "DATE_FORMAT", get_language())


def day_of_year(moment: datetime) -> str:
    """`Aug 21`, e.g. for the axis of a chart."""
    return date_format(timezone.localtime(moment), "MONTH_DAY_FORMAT")


def day_and_time(moment: datetime | None) -> str:
    """`Aug 21, 2026, 14:08`."""
    if moment is None:
        return EMPTY
    minute = timezone.localtime(moment).replace(tzinfo=None, second=0, microsecond=0)
    return _written(minute, "DATETIME_FORMAT", get_language())


@lru_cache(maxsize=4096)
def _written(local: date, name: str, language: str | None) -> str:
    """A day, or a minute without its zone, in this format and language.

    The same ones come again and again in the rows of a page, and to write one takes longer than the rest of its cell.
    """
    return date_format(local, name)


def number(value: float, *, digits: int = 0) -> str:
    """`1,240`, in German `1.240`; with `digits` after the point, `88.0`."""
    return number_format(value, decimal_pos=digits, force_grouping=True)


def percent(value: Decimal) -> str:
    """`17.3%`, in German `17,3 %`."""
    return _("{number}%").format(number=number_format(value))


def inside(label: str) -> str:
    """A label inside of a sentence.

    English begins it with a small letter; German keeps the capital letter of a noun.
    """
    return label if (get_language() or "").startswith("de") else f"{label[:1].lower()}{label[1:]}"


def name_of(user: User | None) -> str:
    """The full name of an account, else its user name."""
    return (user.get_full_name() or user.get_username()) if user else EMPTY


def two_lines(first: str, second: str = "") -> SafeString:
    return format_html('<span class="lh-two-lines">{}<small>{}</small></span>', first, second)


def day_ago(moment: datetime | None, *, never: str = "", hint: str = "") -> SafeString:
    """The date, and below it how long ago it is."""
    if moment is None:
        return two_lines(never or _("Never"), hint)
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
        "error": ngettext("{} error", "{} errors", found["error"]),
        "warning": ngettext("{} warning", "{} warnings", found["warning"]),
        "not_checked": ngettext("{} not checked", "{} not checked", found["not_checked"]),
        "ok": ngettext("{} passed", "{} passed", found["ok"]),
    }
    return ", ".join(label.format(number(found[level])) for level, label in labels.items() if found[level])
