"""Why each subscription is, or is not, a candidate: one ordered list of clauses, one SQL CASE.

The first clause that holds gives the verdict. The same clauses that evaluate all rows in SQL explain one row to the
admin, so that the explanation can never differ from the decision.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol

from django.db.models import BooleanField, Case, Q, Value, When
from django.utils import timezone
from django.utils.formats import date_format
from django.utils.text import capfirst

from integrations.connectors.contract import UNKNOWN_WORDS, Capability
from integrations.models import IntegrationProfile
from subscriptions.eligibility.terms import Terms
from subscriptions.models import DownloadRun, NeverActive, Protection, Subscription, Verdict

NOT_CHECKED = "not checked"


class Idle(Protocol):
    """What the sentence for a candidate is made of: a row of Subscription, or the few facts of one of many."""

    @property
    def license(self) -> str: ...
    @property
    def last_activity_at(self) -> datetime | None: ...
    @property
    def idle_since(self) -> datetime | None: ...


@dataclass(frozen=True, slots=True)
class Clause:
    """`when` picks the rows in SQL, `why` is the sentence for one of them, `label` names what lets pass."""

    verdict: Verdict
    when: Callable[[Terms, datetime], Q]
    why: Callable[[Subscription, Terms, datetime], str]
    label: str
    fact: Callable[[Subscription, Terms, datetime], str]
    # Whether `when` reads the terms. The preview asks the other clauses once, when it counts people.
    reads_terms: bool = False


def _idle_before(terms: Terms, now: datetime) -> Q:
    """Idle since longer than the threshold of the row's license."""
    usual = Q(idle_since__lt=now - timedelta(days=terms.threshold)) & ~Q(license__in=list(terms.by_license))
    for license, days in terms.by_license.items():
        usual |= Q(license=license, idle_since__lt=now - timedelta(days=days))
    return usual


def _unknown(terms: Terms, now: datetime) -> Q:
    return Q(idle_since=None) | Q(license__in=UNKNOWN_WORDS) | Q(role__in=UNKNOWN_WORDS)


def _never_active(terms: Terms, now: datetime) -> Q:
    if terms.never_active == NeverActive.CANDIDATE:
        return Q(pk=None)
    return Q(last_activity_at=None)


def days_since(moment: datetime | None, now: datetime) -> int:
    return max(0, (now - moment).days) if moment else 0


def _day(moment: datetime | None) -> str:
    return date_format(timezone.localtime(moment), "M j, Y") if moment else "never"


def _days(count: int) -> str:
    return f"{count} day" if count == 1 else f"{count} days"


def _why_gone(row: Subscription, terms: Terms, now: datetime) -> str:
    return f"Left the organization: no longer among its members since the download of {_day(row.gone_at)}."


def _why_unknown(row: Subscription, terms: Terms, now: datetime) -> str:
    if row.license in UNKNOWN_WORDS:
        return f"Needs review: {row.profile.vendor} does not say which license this person holds."
    if row.role in UNKNOWN_WORDS:
        return f"Needs review: {row.profile.vendor} does not say which role this person has."
    return f"Needs review: {row.profile.vendor} tells neither a last activity nor when the license was assigned."


def _why_active(row: Subscription, terms: Terms, now: datetime) -> str:
    threshold = _days(terms.threshold_for(row.license))
    if row.last_activity_at is None:
        return f"Never active, but licensed only since {_day(row.idle_since)}; the threshold is {threshold}."
    ago = _days(days_since(row.idle_since, now))
    return f"Active lately: last activity {ago} ago, on {_day(row.idle_since)}; the threshold is {threshold}."


def _why_cannot_be_removed(row: Subscription, terms: Terms, now: datetime) -> str:
    if not row.reclaimable:
        return f"Protected: {row.role_label}. {row.why_not}"
    return (
        f"Protected: the only admin of {row.sole_admin_of}, so {row.profile.vendor} refuses to deactivate this "
        "person. Make "
        "somebody else an admin there first; the next download will see it."
    )


def team_admins_checked(profile: IntegrationProfile) -> bool:
    """Whether the last complete download was told who is the only admin of a team."""
    if Capability.LAST_TEAM_ADMIN not in profile.connector.capabilities:
        return False
    last = DownloadRun.objects.complete().filter(profile=profile).first()
    return last is not None and last.team_admins_checked


def _sole_admin(row: Subscription, terms: Terms, now: datetime) -> str:
    if row.sole_admin_of:
        return row.sole_admin_of
    return "of no team" if team_admins_checked(row.profile) else NOT_CHECKED


def protections_of(row: Subscription) -> list[Protection]:
    """Those in force that cover this person, the one made last first."""
    found = Protection.objects.covering(profile=row.profile_id, email=row.email, license=row.license, role=row.role)
    return list(found.select_related("created_by", "profile"))


def _why_protected(row: Subscription, terms: Terms, now: datetime) -> str:
    found = protections_of(row)
    if not found:
        return "Was protected; that ended in this moment, and the next look evaluates anew."
    first, others = found[0], len(found) - 1
    more = f" {others} more cover{'s' if others == 1 else ''} this person, too." if others else ""
    return f"Protected {first.sentence}{more}"


def _protected(row: Subscription, terms: Terms, now: datetime) -> str:
    found = protections_of(row)
    return f"{found[0].scope_label}, {found[0].until_label}" if found else "none covers this person"


def _why_grace(row: Subscription, terms: Terms, now: datetime) -> str:
    return (
        f"New joiner: the license was assigned on {_day(row.license_assigned_at)}, "
        f"within the grace of {_days(terms.grace)}."
    )


def explain_candidate(row: Idle, terms: Terms, now: datetime) -> str:
    """The sentence for a candidate; no clause speaks against it."""
    idle = days_since(row.idle_since, now)
    over = _days(idle - terms.threshold_for(row.license))
    if row.last_activity_at is None:
        return f"Never active since assigned on {_day(row.idle_since)}, {over} over the threshold."
    return f"Inactive {_days(idle)}, {over} over the threshold."


CLAUSES: tuple[Clause, ...] = (
    Clause(
        Verdict.GONE,
        lambda terms, now: Q(gone_at__isnull=False),
        _why_gone,
        "Belongs to the organization",
        lambda row, terms, now: "left" if row.gone_at else "found by the last download",
    ),
    Clause(
        Verdict.DEACTIVATED,
        lambda terms, now: Q(active=False),
        lambda row, terms, now: f"Deactivated at {row.profile.vendor}: takes no seat.",
        "Active at {vendor}",
        lambda row, terms, now: "can sign in" if row.active else "deactivated",
    ),
    Clause(
        Verdict.UNKNOWN,
        _unknown,
        _why_unknown,
        "License, role and dates are known",
        lambda row, terms, now: f"{row.license_label}, {row.role_label}",
    ),
    Clause(
        Verdict.NOT_IN_SCOPE,
        lambda terms, now: ~Q(license__in=terms.licenses),
        lambda row, terms, now: f"Holds a {row.license_label} license, which the rule leaves alone.",
        "Holds a license in scope",
        lambda row, terms, now: row.license_label,
        reads_terms=True,
    ),
    Clause(
        Verdict.CANNOT_BE_REMOVED,
        lambda terms, now: Q(reclaimable=False),
        _why_cannot_be_removed,
        "{vendor} lets us take the seat back",
        lambda row, terms, now: row.role_label,
    ),
    Clause(
        Verdict.CANNOT_BE_REMOVED,
        lambda terms, now: ~Q(sole_admin_of=""),
        _why_cannot_be_removed,
        "Not the only admin of a team",
        _sole_admin,
    ),
    Clause(
        Verdict.PROTECTED,
        lambda terms, now: Protection.objects.covers_row(),
        _why_protected,
        "Nobody protected this person",
        _protected,
    ),
    Clause(
        Verdict.COOLING_DOWN,
        lambda terms, now: Q(cooldown_until__gt=now),
        lambda row, terms, now: f"In cool-down until {_day(row.cooldown_until)}: {row.cooldown_reason}.",
        "Not in cool-down",
        lambda row, terms, now: f"until {_day(row.cooldown_until)}" if row.cooldown_until else "no cool-down",
    ),
    Clause(
        Verdict.IN_GRACE,
        lambda terms, now: Q(license_assigned_at__gt=now - timedelta(days=terms.grace)),
        _why_grace,
        "Not a new joiner",
        lambda row, terms, now: (
            f"licensed for {_days(days_since(row.license_assigned_at, now))}"
            if row.license_assigned_at
            else "assigned at an unknown date"
        ),
        reads_terms=True,
    ),
    Clause(
        Verdict.ACTIVE,
        lambda terms, now: ~_idle_before(terms, now),
        _why_active,
        "Inactive longer than the threshold",
        lambda row, terms, now: (
            f"{_days(days_since(row.idle_since, now))}, threshold {_days(terms.threshold_for(row.license))}"
        ),
        reads_terms=True,
    ),
    Clause(
        Verdict.NEVER_ACTIVE,
        _never_active,
        lambda row, terms, now: f"Needs review: never active since the license was assigned on {_day(row.idle_since)}.",
        "Was active at least once",
        lambda row, terms, now: f"last on {_day(row.last_activity_at)}" if row.last_activity_at else "never",
        reads_terms=True,
    ),
)


@dataclass(frozen=True, slots=True)
class Check:
    """One clause as it fell out for one subscription.

    `passed` is None for those after the one that decided, and for what the vendor does not let us check.
    """

    label: str
    fact: str
    passed: bool | None


def verdict_case(terms: Terms, now: datetime) -> Case:
    """The CASE that evaluates rows of Subscription."""
    return Case(
        *(When(clause.when(terms, now), then=Value(clause.verdict.value)) for clause in CLAUSES),
        default=Value(Verdict.CANDIDATE.value),
    )


def verdict_of(row: Subscription, terms: Terms) -> Verdict:
    """The verdict on one row by the given terms, asked of the same CASE; nothing is written."""
    found = (
        Subscription.objects.filter(pk=row.pk)
        .annotate(evaluated=verdict_case(terms, timezone.now()))
        .values_list("evaluated", flat=True)
        .get()
    )
    return Verdict(found)


def explain(row: Subscription, terms: Terms, *, verdict: Verdict | None = None) -> str:
    """One sentence for the row's verdict (the stored one, unless another is given)."""
    now = timezone.now()
    verdict_now = verdict or row.verdict
    for clause in CLAUSES:
        if clause.verdict == verdict_now:
            return clause.why(row, terms, now)
    if verdict_now == Verdict.CANDIDATE:
        return explain_candidate(row, terms, now)
    return "Not evaluated yet: waits for the next complete download."


def checks(row: Subscription, terms: Terms) -> list[Check]:
    """Every clause in its order with the fact behind it, asked of the database in one query."""
    now = timezone.now()
    flags = {
        f"clause_{number}": Case(
            When(clause.when(terms, now), then=Value(True)), default=Value(False), output_field=BooleanField()
        )
        for number, clause in enumerate(CLAUSES)
    }
    holds = Subscription.objects.filter(pk=row.pk).annotate(**flags).values(*flags).get()
    found: list[Check] = []
    decided = False
    for number, clause in enumerate(CLAUSES):
        held = holds[f"clause_{number}"]
        fact = clause.fact(row, terms, now)
        passed = None if decided or fact == NOT_CHECKED else not held
        label = capfirst(clause.label.format(vendor=row.profile.vendor))
        found.append(Check(label, fact, passed))
        decided = decided or held
    return found
