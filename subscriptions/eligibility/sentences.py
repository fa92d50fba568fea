"""The sentences and facts of the clauses, which explain one subscription to an admin.

One function makes each sentence, in the language of the reader. For evidence, the caller makes it in English, and pages
show it with `stored.translated`.
"""

from __future__ import annotations

from datetime import datetime
from typing import Protocol

from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext, pgettext

from integrations.connectors.contract import UNKNOWN_WORDS, Capability, english
from integrations.models import IntegrationProfile
from licensehub.translations.stored import translated, with_names
from licensehub.ui.formatting import day, number
from subscriptions.eligibility.terms import Terms
from subscriptions.models import AdminRoles, DownloadRun, Protection, Subscription, Verdict

NOT_CHECKED = gettext_lazy("not checked")
NEEDS_REVIEW = english("Needs review: {why}")
GONE = english("Left the organization: no longer among its members since the download of {day}.")
NO_LICENSE = english("{vendor} does not say which license this person holds.")
NO_ROLE = english("{vendor} does not say which role this person has.")
WRONG_DATE = english("{vendor} sent a date that cannot be right ({dates}).")
NO_DATES = english("{vendor} shows neither a last activity nor when the license was assigned.")
WENT_BACK = english("{vendor} said {known}, then {now}. We count {known}.")
NO_DATE = english("no date")
NEW_AND_NEVER_ACTIVE = english("Never active, but licensed only since {day}; the threshold is {threshold}.")
ACTIVE = english("Active lately: last activity {days} ago, on {day}; the threshold is {threshold}.")
CANNOT_BE_REMOVED = english("Cannot be removed: {role}. {why_not}")
ONLY_ADMIN = english(
    "Cannot be removed: the only admin of {teams}, so {vendor} refuses to deactivate this person. Make somebody "
    "else an admin there first; the next download will see it."
)
LEFT_ALONE = english("Left alone: {roles}. The rule leaves people with an admin role alone.")
WAS_PROTECTED = english("Was protected until a moment ago; the next evaluation decides again.")
NEW_JOINER = english("New joiner: the license was assigned on {day}, within the grace of {grace}.")
ADMIN_ROLE = english("{roles}. Others may depend on this role, and {vendor} may refuse to deactivate this person.")
ADMIN_ROLES = english("{roles}. Others may depend on these roles, and {vendor} may refuse to deactivate this person.")
NEVER_ACTIVE = english("never active since the license was assigned on {day}.")
INACTIVE = english("Inactive {idle}, {over} over the threshold.")
NEVER_ACTIVE_CANDIDATE = english("Never active since assigned on {day}, {over} over the threshold.")

# The first sentence on the page of a person, about each verdict. The sentence of the clause follows it.
LEADS = {
    Verdict.NOT_EVALUATED: gettext_lazy("{name} is not evaluated yet."),
    Verdict.GONE: gettext_lazy("{name} is not a candidate: no longer in the organization."),
    Verdict.DEACTIVATED: gettext_lazy("{name} is not a candidate: the account takes no seat."),
    Verdict.UNKNOWN: gettext_lazy("{name} is not a candidate yet: a fact is missing or wrong."),
    Verdict.NOT_IN_SCOPE: gettext_lazy("{name} is not a candidate: the license is not in scope."),
    Verdict.CANNOT_BE_REMOVED: gettext_lazy("{name} is not a candidate: this seat cannot be taken back."),
    Verdict.PROTECTED: gettext_lazy("{name} is not a candidate: the seat is protected."),
    Verdict.COOLING_DOWN: gettext_lazy("{name} is not a candidate yet: the cool-down is not over."),
    Verdict.IN_GRACE: gettext_lazy("{name} is not a candidate yet: the license is new."),
    Verdict.ACTIVE: gettext_lazy("{name} is not a candidate: not inactive for long enough."),
    Verdict.DATES_WENT_BACK: gettext_lazy("{name} is not a candidate yet: the dates went back."),
    Verdict.ADMIN_ROLE: gettext_lazy("{name} is not a candidate yet: an admin role needs a review."),
    Verdict.NEVER_ACTIVE: gettext_lazy("{name} is not a candidate yet: this license was never used."),
    Verdict.CANDIDATE: gettext_lazy(
        "{name} is a candidate: holds a {license} license, inactive for {idle}, {over} over the threshold."
    ),
}
NEVER_ACTIVE_LEAD = gettext_lazy(
    "{name} is a candidate: holds a {license} license, never active since it was assigned on {day}, {over} over the "
    "threshold."
)


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
    return day(moment) if moment else _("never")


def _grouped(count: int) -> str:
    """`1,240`. Fewer than 1,000 are not formatted: a proposal writes two numbers for each of 150,000 people."""
    return number(count) if count >= 1000 else str(count)


def in_days(count: int) -> str:
    return ngettext("{} day", "{} days", count).format(_grouped(count))


def licensed_for(count: int) -> str:
    return ngettext("licensed for {} day", "licensed for {} days", count).format(_grouped(count))


def needs_review(why: str) -> str:
    return _(NEEDS_REVIEW).format(why=why)


def why_gone(row: Subscription, terms: Terms, now: datetime) -> str:
    return _(GONE).format(day=on_day(row.gone_at))


def why_unknown(row: Subscription, terms: Terms, now: datetime) -> str:
    if row.license in UNKNOWN_WORDS:
        return needs_review(_(NO_LICENSE).format(vendor=row.profile.vendor))
    if row.role in UNKNOWN_WORDS:
        return needs_review(_(NO_ROLE).format(vendor=row.profile.vendor))
    if row.implausible_dates:
        return needs_review(_(WRONG_DATE).format(vendor=row.profile.vendor, dates=row.implausible_dates))
    return needs_review(_(NO_DATES).format(vendor=row.profile.vendor))


def why_dates_went_back(row: Subscription, terms: Terms, now: datetime) -> str:
    known = on_day(row.last_activity_at)
    return needs_review(_(WENT_BACK).format(vendor=row.profile.vendor, known=known, now=_vendor_day(row)))


def _vendor_day(row: Subscription) -> str:
    return on_day(row.vendor_activity_at) if row.vendor_activity_at else _(NO_DATE)


def vendor_says_now(row: Subscription) -> str:
    """The vendor's date of a person whose dates went back, as a sentence; empty for all others."""
    if not row.dates_went_back:
        return ""
    return _("{vendor} now says {day}").format(vendor=row.profile.vendor, day=_vendor_day(row))


def why_active(row: Subscription, terms: Terms, now: datetime) -> str:
    threshold, day_of = in_days(terms.threshold_for(row.license)), on_day(row.idle_since)
    if row.last_activity_at is None:
        return _(NEW_AND_NEVER_ACTIVE).format(day=day_of, threshold=threshold)
    return _(ACTIVE).format(days=in_days(days_since(row.idle_since, now)), day=day_of, threshold=threshold)


def why_cannot_be_removed(row: Subscription, terms: Terms, now: datetime) -> str:
    if not row.reclaimable:
        return _(CANNOT_BE_REMOVED).format(role=row.role_label, why_not=translated(row.why_not))
    return _(ONLY_ADMIN).format(teams=with_names(row.sole_admin_of), vendor=row.profile.vendor)


def team_admins_checked(profile: IntegrationProfile) -> bool:
    """Whether the last complete download checked who is the only admin of a team."""
    if Capability.LAST_TEAM_ADMIN not in profile.connector.capabilities:
        return False
    complete = DownloadRun.objects.complete().filter(profile=profile)
    return bool(complete.values_list("team_admins_checked", flat=True).first())


def sole_admin(row: Subscription, terms: Terms, now: datetime) -> str:
    if row.sole_admin_of:
        return with_names(row.sole_admin_of)
    return _("of no team") if team_admins_checked(row.profile) else str(NOT_CHECKED)


def protections_of(row: Subscription) -> list[Protection]:
    """The protections in force that cover this person, the newest first."""
    return list(row.profile.protections.covering(row).select_related("created_by"))


def why_protected(row: Subscription, terms: Terms, now: datetime) -> str:
    found = protections_of(row)
    if not found and row.admin_roles and terms.admin_roles == AdminRoles.LEAVE:
        return _(LEFT_ALONE).format(roles=row.admin_roles_label)
    if not found:
        return _(WAS_PROTECTED)
    first, others = found[0], len(found) - 1
    if not others:
        return first.sentence
    more = ngettext(
        "{first} {count} more covers this person, too.", "{first} {count} more cover this person, too.", others
    )
    return more.format(first=first.sentence, count=others)


def protected_by(row: Subscription, terms: Terms, now: datetime) -> str:
    found = protections_of(row)
    return f"{found[0].scope_label}, {found[0].until_label}" if found else _("none covers this person")


def why_grace(row: Subscription, terms: Terms, now: datetime) -> str:
    return _(NEW_JOINER).format(day=on_day(row.license_assigned_at), grace=in_days(terms.grace))


def why_admin_role(row: Subscription, terms: Terms, now: datetime) -> str:
    said = _(ADMIN_ROLE) if len(row.admin_roles) == 1 else _(ADMIN_ROLES)
    return needs_review(said.format(roles=row.admin_roles_label, vendor=row.profile.vendor))


def admin_roles_of(row: Subscription, terms: Terms, now: datetime) -> str:
    return row.admin_roles_label or pgettext("admin roles", "none")


def why_never_active(row: Subscription, terms: Terms, now: datetime) -> str:
    return needs_review(_(NEVER_ACTIVE).format(day=on_day(row.idle_since)))


def explain_candidate(row: Idle, terms: Terms, now: datetime) -> str:
    """The sentence for a candidate, for whom no clause holds."""
    never = row.last_activity_at is None
    return inactive_since(row.idle_since, never=never, threshold=terms.threshold_for(row.license), now=now)


def inactive_since(since: datetime | None, *, never: bool, threshold: int, now: datetime) -> str:
    """`Inactive 94 days, 34 over the threshold.` `never`: `since` is the day of the license, not of an activity."""
    idle = days_since(since, now)
    over = idle - threshold
    if never:
        return _(NEVER_ACTIVE_CANDIDATE).format(day=on_day(since), over=in_days(over))
    return _(INACTIVE).format(idle=in_days(idle), over=_grouped(over))
