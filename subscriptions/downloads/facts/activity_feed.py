"""Check that the vendor still updates its activity dates, before a download is merged.

If the vendor's activity feed has stopped, each member looks more inactive each day, although the download is complete.
So the dates of the download are compared with those that the vendor showed before. Both are counted by the clauses of
today's rule, each as of its own day: a lower threshold raises both numbers, so it is not taken for a fault of the feed.
Each count is one statement, for any number of people.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any, NamedTuple

from django.db.models import Case, Count, F, Max, Q, QuerySet, Value, When
from django.db.models.functions import Coalesce, Lower, StrIndex, Substr
from django.utils.text import capfirst

from integrations.connectors.contract import english
from integrations.models import IntegrationProfile
from licensehub.translations.stored import as_evidence
from subscriptions.bulk_sql import large_tables
from subscriptions.eligibility.clauses import CLAUSES, verdict_case
from subscriptions.eligibility.sentences import in_days, on_day
from subscriptions.eligibility.terms import Terms
from subscriptions.models import DownloadRun, ReclaimRule, VendorFacts, Verdict
from subscriptions.models.subscription import HELD

# A domain is checked on its own if at least this many of its people were active lately in the download before.
MIN_IN_DOMAIN = 20
# At least so many more people must be inactive, whatever their share: else a small organization is doubted each week.
MIN_SURGE = 5
# A download has no records of LicenseHub, e.g. protections. So neither count uses the clauses that read them.
MEMBER_CLAUSES = tuple(clause for clause in CLAUSES if not clause.reads_records)

STOPPED = english(
    "{vendor} shows no activity within the last {days}, and the download before had some. The newest one is of "
    "{newest}. {vendor} no longer seems to update the activity dates, and everybody would soon look inactive."
)
STOPPED_WITHOUT_DATES = english(
    "{vendor} shows no activity within the last {days}, and the download before had some. No member has any. "
    "{vendor} no longer seems to update the activity dates, and everybody would soon look inactive."
)
STOPPED_IN_DOMAIN = english(
    "{vendor} shows no activity within the last {days} of the {people} people at {domain}; in the download before, "
    "{lately} were active lately. {vendor} no longer seems to update their activity dates."
)
SURGE = english(
    "{inactive} of {in_scope} active licenses in scope would be inactive ({share}), and {inactive_before} of "
    "{in_scope_before} were at the download before ({share_before}), both by today's rule. So many people do not "
    "become inactive at once, so the activity dates are in doubt."
)


class Group(NamedTuple):
    """Counts of the active members of one domain. `lately`: active within the days that the rule names."""

    people: int = 0
    lately: int = 0
    in_scope: int = 0
    inactive: int = 0


Groups = dict[str, Group]


def why_doubtful(run: DownloadRun) -> str:
    """The reason to doubt the activity dates of the staged members, in one or two sentences; empty if there is none.

    A first download of an organization is never doubted: there is nothing to compare it with. The overview says how old
    its newest activity is. The first download of a new profile is compared with the last one of an archived profile of
    the same organization: a feed that has stopped does not start again by a new profile. Their shares of inactive
    people are not compared, since the last download may be old.
    """
    last = _last(run)
    rule = ReclaimRule.objects.filter(profile=run.profile_id).prefetch_related("license_thresholds").first()
    if last is None or rule is None:
        return ""
    with large_tables():
        before = _count(said_before(last), rule, at=last.finished_at or last.started_at)
        after = _count(as_downloaded(run), rule, at=run.started_at)
    with as_evidence():
        stopped = _has_stopped(run, rule, before, after)
    if last.profile_id != run.profile_id:
        return stopped
    return stopped or _surges(rule, before, after)


def _last(run: DownloadRun) -> DownloadRun | None:
    """The last run whose facts are written, of this profile, or else of an archived one of the same organization."""
    runs = DownloadRun.objects.with_facts()
    former = IntegrationProfile.objects.of_organization(run.profile)
    return runs.filter(profile=run.profile_id).first() or runs.filter(profile__in=former).first()


def said_before(last: DownloadRun) -> QuerySet[Any]:
    """The members as known, with the dates that the vendor showed last. They may be older than those that count."""
    said = Case(When(dates_went_back=True, then=F("vendor_activity_at")), default=F("known_activity_at"))
    rows = VendorFacts.objects.filter(HELD, profile_id=last.profile_id)
    return _comparable(rows.annotate(last_activity_at=said))


def as_downloaded(run: DownloadRun) -> QuerySet[Any]:
    return _comparable(run.members.filter(active=True))


def _comparable(rows: QuerySet[Any]) -> QuerySet[Any]:
    """Add the other columns that the clauses read. An admin's decision after a review does not count here."""
    since = Coalesce("last_activity_at", "license_assigned_at")
    found: QuerySet[Any] = rows.annotate(idle_since=since, review_passed=Value(False))
    return found.order_by()


def _count(rows: QuerySet[Any], rule: ReclaimRule, *, at: datetime) -> Groups:
    """Domain -> counts, as of that moment."""
    terms = Terms.of(rule)
    lately = Q(last_activity_at__gt=at - timedelta(days=rule.stale_feed_days))
    counted = (
        rows.alias(verdict_now=verdict_case(terms, at, MEMBER_CLAUSES))
        .annotate(domain=Lower(Substr("email", StrIndex("email", Value("@")) + 1)))
        .values_list("domain")
        .annotate(
            people=Count("active"),
            lately=Count("active", filter=lately),
            in_scope=Count("active", filter=Q(license__in=terms.licenses)),
            inactive=Count("active", filter=Q(verdict_now=Verdict.CANDIDATE.value)),
        )
    )
    return {domain: Group(*numbers) for domain, *numbers in counted}


def _sum(groups: Groups) -> Group:
    return Group(*(sum(numbers) for numbers in zip(*groups.values(), strict=True))) if groups else Group()


def _has_stopped(run: DownloadRun, rule: ReclaimRule, before: Groups, after: Groups) -> str:
    """A sentence if the whole feed has stopped, or the feed of one domain; else empty."""
    days, vendor = in_days(rule.stale_feed_days), capfirst(run.profile.vendor)
    if _sum(before).lately and not _sum(after).lately:
        newest = as_downloaded(run).aggregate(newest=Max("last_activity_at"))["newest"]
        return (STOPPED if newest else STOPPED_WITHOUT_DATES).format(vendor=vendor, days=days, newest=on_day(newest))
    for domain, was in before.items():
        now = after.get(domain, Group())
        if was.lately >= MIN_IN_DOMAIN <= now.people and not now.lately:
            return STOPPED_IN_DOMAIN.format(
                vendor=vendor, days=days, people=f"{now.people:,}", domain=domain, lately=f"{was.lately:,}"
            )
    return ""


def _surges(rule: ReclaimRule, before: Groups, after: Groups) -> str:
    was, now = _sum(before), _sum(after)
    if not (was.in_scope and now.in_scope) or now.inactive - was.inactive < MIN_SURGE:
        return ""
    # The shares are multiplied out, so that nothing is rounded.
    risen = now.inactive * was.in_scope > rule.surge_factor * was.inactive * now.in_scope
    if not (risen and 100 * now.inactive > rule.surge_percent * now.in_scope):
        return ""
    return SURGE.format(
        inactive=f"{now.inactive:,}",
        in_scope=f"{now.in_scope:,}",
        share=_percent(now),
        inactive_before=f"{was.inactive:,}",
        in_scope_before=f"{was.in_scope:,}",
        share_before=_percent(was),
    )


def _percent(group: Group) -> str:
    return f"{group.inactive / group.in_scope:.1%}"
