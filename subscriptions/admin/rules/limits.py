"""The saved limits of a rule as numbers of people: the descriptions of two sections of its form."""

from __future__ import annotations

from integrations.models import IntegrationProfile
from subscriptions.admin.widgets.counts import people
from subscriptions.candidates.caps import caps_of, percent
from subscriptions.downloads.activity_feed import MIN_SURGE
from subscriptions.eligibility.people_counts import current_counts
from subscriptions.models import ReclaimRule


def caps_now(profile: IntegrationProfile) -> str:
    """The saved caps as numbers of people: `Now at most 15 people per request: 5 % of 300 active licenses.`"""
    caps, rule = caps_of(profile), ReclaimRule.objects.get(profile=profile)
    if not caps.seats:
        return "The numbers appear after the first complete download."
    share = percent(rule.batch_cap_percent, caps.seats)
    of = f"{rule.batch_cap_percent} % of {caps.seats:,} active licenses in scope"
    batch = f"Now at most {people(caps.batch)} per request: {of}"
    if share > rule.batch_cap_people:
        batch += f" would be {share:,}, and the smaller cap counts"
    used = f"{caps.used:,} of them are used, {caps.left:,} left" if caps.used else "none of them is used"
    return f"{batch}. In 24 hours at most {people(caps.rolling)}: {rule.rolling_cap_percent} %; {used}."


def doubts_now(profile: IntegrationProfile) -> str:
    """The saved limits as numbers of people: `Now about 20 of 180 active licenses in scope are inactive. …`"""
    rule = ReclaimRule.objects.get(profile=profile)
    seats = caps_of(profile).seats
    inactive = current_counts(profile).inactive
    if not seats:
        return "The numbers appear after the first complete download."
    limit = max(rule.surge_factor * inactive, percent(rule.surge_percent, seats), inactive + MIN_SURGE)
    return (
        f"Now {inactive:,} of {seats:,} active licenses in scope are inactive. A download with more than about "
        f"{limit:,} is quarantined: nothing of it is used, and reclaims wait, until two people accept it or a later "
        "download is right."
    )
