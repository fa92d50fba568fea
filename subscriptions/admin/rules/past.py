"""The lines beside the threshold: how many people would have come back, by our own history."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from integrations.models import IntegrationProfile
from licensehub.database.clock import database_now
from licensehub.ui.formatting import EMPTY, day, day_of_year, number
from subscriptions.eligibility.buckets import MAX_GRACE_DAYS
from subscriptions.eligibility.past_counts import DAYS_AGO, History, Past, history_of
from subscriptions.eligibility.terms import Terms


def past_of(profile: IntegrationProfile, terms: Terms) -> dict[str, Any]:
    """The context of the template: `lines`, and the sentences below them."""
    history = history_of(profile, terms)
    return {
        "lines": [_line(past) for past in history.past],
        "rests_on": _rests_on(history),
        "reclaimed": _reclaimed(history.past),
        "unknown": "" if history.past else _why_unknown(history, terms),
    }


def _line(past: Past) -> dict[str, str]:
    back = _("none")
    if past.came_back:
        back = _("{count} ({percent} %)").format(count=number(past.came_back), percent=past.percent)
    return {
        "when": ngettext("{} day ago", "{} days ago", past.days).format(past.days),
        "day": day_of_year(past.moment),
        "people": number(past.people),
        "back": back if past.people else EMPTY,
    }


def _rests_on(history: History) -> str:
    return ngettext(
        "From our own records since {day}: {count} complete download.",
        "From our own records since {day}: {count} complete downloads.",
        history.runs,
    ).format(day=day(history.since), count=number(history.runs))


def _reclaimed(past: tuple[Past, ...]) -> str:
    most = max((found.reclaimed for found in past), default=0)
    if not most:
        return ""
    return ngettext(
        "Left out: up to {count} person whose seat was reclaimed meanwhile. "
        "Nobody can know whether this person would have come back.",
        "Left out: up to {count} people whose seats were reclaimed meanwhile. "
        "Nobody can know whether they would have come back.",
        most,
    ).format(count=number(most))


def _why_unknown(history: History, terms: Terms) -> str:
    if history.since is None:
        return _("Nothing is known yet: the records begin with the first download.")
    if terms.grace > MAX_GRACE_DAYS:
        return _("Not counted for a grace of more than {days} days.").format(days=MAX_GRACE_DAYS)
    first = history.since + timedelta(days=min(DAYS_AGO))
    if first <= database_now():
        return _("The next download counts it.")
    known = _("Nothing is known before {day}, the day of the first download. The first answer is possible on {later}.")
    return known.format(day=day(history.since), later=day(first))
