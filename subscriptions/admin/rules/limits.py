"""The saved limits of a rule as numbers of people: the descriptions of two sections of its form."""

from __future__ import annotations

from math import ceil

from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from integrations.models import IntegrationProfile
from licensehub.ui.formatting import number
from subscriptions.admin.widgets.counts import people
from subscriptions.candidates.caps import caps_of, percent
from subscriptions.downloads.facts.activity_feed import MIN_SURGE
from subscriptions.eligibility.people_counts import current_counts
from subscriptions.models import ReclaimRule


def caps_now(profile: IntegrationProfile) -> str:
    """The saved caps as numbers of people: `Now at most 15 people per request: 5 % of 300 active licenses.`"""
    caps, rule = caps_of(profile), ReclaimRule.objects.get(profile=profile)
    if not caps.seats:
        return _("The numbers appear after the first complete download.")
    share = percent(rule.batch_cap_percent, caps.seats)
    batch = (
        _(
            "Now at most {people} per request: {percent} % of {seats} active licenses in scope would be {share}, and "
            "the smaller cap counts."
        )
        if share > rule.batch_cap_people
        else _("Now at most {people} per request: {percent} % of {seats} active licenses in scope.")
    ).format(people=people(caps.batch), percent=rule.batch_cap_percent, seats=number(caps.seats), share=number(share))
    rolling = (
        _("In 24 hours at most {people}: {percent} %; {used} of them are used, {left} left.")
        if caps.used
        else _("In 24 hours at most {people}: {percent} %; none of them is used.")
    ).format(
        people=people(caps.rolling), percent=rule.rolling_cap_percent, used=number(caps.used), left=number(caps.left)
    )
    inactive = current_counts(profile).inactive
    approvals = ceil(inactive / caps.batch)
    needed = ngettext(
        "All {inactive} inactive seats need at least {count} approval.",
        "All {inactive} inactive seats need at least {count} approvals.",
        approvals,
    ).format(inactive=number(inactive), count=number(approvals))
    return f"{batch} {needed} {rolling}" if approvals > 1 else f"{batch} {rolling}"


def doubts_now(profile: IntegrationProfile) -> str:
    """The saved limits as numbers of people: `Now about 20 of 180 active licenses in scope are inactive. …`"""
    rule = ReclaimRule.objects.get(profile=profile)
    seats = caps_of(profile).seats
    inactive = current_counts(profile).inactive
    if not seats:
        return _("The numbers appear after the first complete download.")
    limit = max(rule.surge_factor * inactive, percent(rule.surge_percent, seats), inactive + MIN_SURGE)
    return _(
        "Now {inactive} of {seats} active licenses in scope are inactive. A download with more than about "
        "{limit} is quarantined: nothing of it is used, and reclaims wait, until two people accept it or "
        "a later download is right."
    ).format(inactive=number(inactive), seats=number(seats), limit=number(limit))
