"""The sentences and facts of the clauses, which explain one subscription to an admin."""

from __future__ import annotations

from datetime import datetime
from typing import Protocol

from django.utils import timezone
from django.utils.formats import date_format
from django.utils.translation import ngettext

from integrations.connectors.contract import UNKNOWN_WORDS, Capability
from integrations.models import IntegrationProfile
from subscriptions.eligibility.terms import Terms
from subscriptions.models import AdminRoles, DownloadRun, Protection, Subscription

NOT_CHECKED = "not checked"


class Idle(Protocol):
    """The facts that the sentence for a candidate needs: a Subscription, or a row with these columns only."""

    @property
    def license(self) -> str: ...
    @property
    def last_activity_at(self) -> datetime | None: ...
    @property
    def idle_since(self) -> datetime | None: ...


def days_since(moment: datetime | None, now: datetime) -> int:
    return max(0, (now - moment).days) if moment else 0


def on_day(moment: datetime | None) -> str:
    return date_format(timezone.localtime(moment), "DATE_FORMAT") if moment else "never"


def in_days(count: int) -> str:
    return ngettext("{} day", "{} days", count).format(count)


def why_gone(row: Subscription, terms: Terms, now: datetime) -> str:
    return f"Left the organization: no longer among its members since the download of {on_day(row.gone_at)}."


def why_unknown(row: Subscription, terms: Terms, now: datetime) -> str:
    if row.license in UNKNOWN_WORDS:
        return f"Needs review: {row.profile.vendor} does not say which license this person holds."
    if row.role in UNKNOWN_WORDS:
        return f"Needs review: {row.profile.vendor} does not say which role this person has."
    if row.implausible_dates:
        return f"Needs review: {row.profile.vendor} sent a date that cannot be right ({row.implausible_dates})."
    return f"Needs review: {row.profile.vendor} shows neither a last activity nor when the license was assigned."


def why_dates_went_back(row: Subscription, terms: Terms, now: datetime) -> str:
    known = on_day(row.last_activity_at)
    now_says = on_day(row.vendor_activity_at) if row.vendor_activity_at else "no date"
    return f"Needs review: {row.profile.vendor} said {known}, then {now_says}. We count {known}."


def vendor_says_now(row: Subscription) -> str:
    """The vendor's date of a person whose dates went back, as a sentence; empty for all others."""
    if not row.dates_went_back:
        return ""
    says = on_day(row.vendor_activity_at) if row.vendor_activity_at else "no date"
    return f"{row.profile.vendor} now says {says}"


def why_active(row: Subscription, terms: Terms, now: datetime) -> str:
    threshold = in_days(terms.threshold_for(row.license))
    if row.last_activity_at is None:
        return f"Never active, but licensed only since {on_day(row.idle_since)}; the threshold is {threshold}."
    ago = in_days(days_since(row.idle_since, now))
    return f"Active lately: last activity {ago} ago, on {on_day(row.idle_since)}; the threshold is {threshold}."


def why_cannot_be_removed(row: Subscription, terms: Terms, now: datetime) -> str:
    if not row.reclaimable:
        return f"Cannot be removed: {row.role_label}. {row.why_not}"
    return (
        f"Cannot be removed: the only admin of {row.sole_admin_of}, so {row.profile.vendor} refuses to deactivate this "
        "person. Make somebody else an admin there first; the next download will see it."
    )


def team_admins_checked(profile: IntegrationProfile) -> bool:
    """Whether the last complete download checked who is the only admin of a team."""
    if Capability.LAST_TEAM_ADMIN not in profile.connector.capabilities:
        return False
    last = DownloadRun.objects.complete().filter(profile=profile).first()
    return last is not None and last.team_admins_checked


def sole_admin(row: Subscription, terms: Terms, now: datetime) -> str:
    if row.sole_admin_of:
        return row.sole_admin_of
    return "of no team" if team_admins_checked(row.profile) else NOT_CHECKED


def protections_of(row: Subscription) -> list[Protection]:
    """The protections in force that cover this person, the newest first."""
    return list(Protection.objects.covering(row).select_related("created_by", "profile"))


def why_protected(row: Subscription, terms: Terms, now: datetime) -> str:
    found = protections_of(row)
    if not found and row.admin_roles and terms.admin_roles == AdminRoles.LEAVE:
        return f"Left alone: {row.admin_roles_label}. The rule leaves people with an admin role alone."
    if not found:
        return "Was protected until a moment ago; the next evaluation decides again."
    first, others = found[0], len(found) - 1
    if not others:
        return f"Protected {first.sentence}"
    more = ngettext("{} more covers this person, too.", "{} more cover this person, too.", others).format(others)
    return f"Protected {first.sentence} {more}"


def protected_by(row: Subscription, terms: Terms, now: datetime) -> str:
    found = protections_of(row)
    return f"{found[0].scope_label}, {found[0].until_label}" if found else "none covers this person"


def why_grace(row: Subscription, terms: Terms, now: datetime) -> str:
    return (
        f"New joiner: the license was assigned on {on_day(row.license_assigned_at)}, "
        f"within the grace of {in_days(terms.grace)}."
    )


def why_admin_role(row: Subscription, terms: Terms, now: datetime) -> str:
    depend = ngettext("this role", "these roles", len(row.admin_roles))
    return (
        f"Needs review: {row.admin_roles_label}. Others may depend on {depend}, and {row.profile.vendor} may refuse to "
        "deactivate this person."
    )


def admin_roles_of(row: Subscription, terms: Terms, now: datetime) -> str:
    return row.admin_roles_label or "none"


def why_never_active(row: Subscription, terms: Terms, now: datetime) -> str:
    return f"Needs review: never active since the license was assigned on {on_day(row.idle_since)}."


def explain_candidate(row: Idle, terms: Terms, now: datetime) -> str:
    """The sentence for a candidate, for whom no clause holds."""
    idle = days_since(row.idle_since, now)
    over = in_days(idle - terms.threshold_for(row.license))
    if row.last_activity_at is None:
        return f"Never active since assigned on {on_day(row.idle_since)}, {over} over the threshold."
    return f"Inactive {in_days(idle)}, {over} over the threshold."
