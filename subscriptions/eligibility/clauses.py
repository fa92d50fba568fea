"""The clauses decide why a subscription is, or is not, a candidate: one ordered list, one CASE in SQL.

The first clause that holds gives the verdict. Each clause has its condition in SQL and its sentence (see `sentences`),
so that the explanation of one row can never differ from the decision about all rows.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db.models import Case, Q, Value, When
from django.utils.functional import Promise
from django.utils.text import capfirst
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, pgettext

from integrations.connectors.contract import UNKNOWN_WORDS, english
from licensehub.database.clock import database_now
from licensehub.translations.stored import translated
from subscriptions.activity import known_dates
from subscriptions.eligibility.sentences import (
    LEADS,
    NEVER_ACTIVE_LEAD,
    NOT_CHECKED,
    admin_roles_of,
    days_since,
    explain_candidate,
    in_days,
    licensed_for,
    needs_review,
    on_day,
    protected_by,
    sole_admin,
    vendor_says_now,
    why_active,
    why_admin_role,
    why_cannot_be_removed,
    why_dates_went_back,
    why_gone,
    why_grace,
    why_never_active,
    why_protected,
    why_unknown,
)
from subscriptions.eligibility.terms import Terms
from subscriptions.models import AdminRoles, NeverActive, Protection, Subscription, Verdict
from subscriptions.models.subscription import HAS_ADMIN_ROLE

DEACTIVATED = english("Deactivated at {vendor}: takes no seat.")
NOT_IN_SCOPE = english("Holds a {license} license, which the rule leaves alone.")
COOLING_DOWN = english("In cool-down until {day}: {why}.")


@dataclass(frozen=True, slots=True)
class Clause:
    """`when` selects the rows for which the clause holds, in SQL. `why` is the sentence for one of these rows.

    `label` and `fact` are for the list of checks of a row: `label` names what a row must fulfill, so that the clause
    does not hold, and `fact` is what the row has.
    """

    verdict: Verdict
    when: Callable[[Terms, datetime], Q]
    why: Callable[[Subscription, Terms, datetime], str]
    label: str | Promise
    fact: Callable[[Subscription, Terms, datetime], str]
    # Whether `when` reads the terms. The preview evaluates the other clauses once, when it counts people.
    reads_terms: bool = False
    # Whether `when` reads records of LicenseHub, e.g. protections and former dates. The other clauses read only facts
    # that each downloaded member has, so that they can count a download before it is merged.
    reads_records: bool = False


def _idle_before(terms: Terms, now: datetime) -> Q:
    """Rows that are idle for longer than the threshold of their license."""
    usual = Q(idle_since__lt=now - timedelta(days=terms.threshold)) & ~Q(license__in=list(terms.by_license))
    for license, days in terms.by_license.items():
        usual |= Q(license=license, idle_since__lt=now - timedelta(days=days))
    return usual


def _unknown(terms: Terms, now: datetime) -> Q:
    nobody_knows = Q(idle_since=None) | Q(license__in=UNKNOWN_WORDS) | Q(role__in=UNKNOWN_WORDS)
    return nobody_knows | (Q(review_passed=False) & ~Q(implausible_dates=""))


def _left_alone(terms: Terms, now: datetime) -> Q:
    return HAS_ADMIN_ROLE if terms.admin_roles == AdminRoles.LEAVE else Q(pk=None)


def _admin_role(terms: Terms, now: datetime) -> Q:
    return HAS_ADMIN_ROLE & Q(review_passed=False) if terms.admin_roles == AdminRoles.REVIEW else Q(pk=None)


def _never_active(terms: Terms, now: datetime) -> Q:
    if terms.never_active == NeverActive.CANDIDATE:
        return Q(pk=None)
    return Q(last_activity_at=None, review_passed=False)


CLAUSES: tuple[Clause, ...] = (
    Clause(
        Verdict.GONE,
        lambda terms, now: Q(gone_at__isnull=False),
        why_gone,
        gettext_lazy("Belongs to the organization"),
        lambda row, terms, now: pgettext("a person", "left") if row.gone_at else _("found by the last download"),
        reads_records=True,
    ),
    Clause(
        Verdict.DEACTIVATED,
        lambda terms, now: Q(active=False),
        lambda row, terms, now: _(DEACTIVATED).format(vendor=row.profile.vendor),
        gettext_lazy("Active at {vendor}"),
        lambda row, terms, now: _("can sign in") if row.active else _("deactivated"),
    ),
    Clause(
        Verdict.NOT_IN_SCOPE,
        lambda terms, now: ~Q(license__in=[*terms.licenses, *UNKNOWN_WORDS]),
        lambda row, terms, now: _(NOT_IN_SCOPE).format(license=row.license_label),
        gettext_lazy("Holds a license in scope"),
        lambda row, terms, now: row.license_label,
        reads_terms=True,
    ),
    Clause(
        Verdict.CANNOT_BE_REMOVED,
        lambda terms, now: Q(reclaimable=False),
        why_cannot_be_removed,
        gettext_lazy("{vendor} lets us take the seat back"),
        lambda row, terms, now: row.role_label,
    ),
    Clause(
        Verdict.CANNOT_BE_REMOVED,
        lambda terms, now: ~Q(sole_admin_of=""),
        why_cannot_be_removed,
        gettext_lazy("Not the only admin of a team"),
        sole_admin,
        reads_records=True,
    ),
    Clause(
        Verdict.PROTECTED,
        lambda terms, now: Protection.objects.covers_row(now),
        why_protected,
        gettext_lazy("Nobody protected this person"),
        protected_by,
        reads_records=True,
    ),
    Clause(
        Verdict.PROTECTED,
        _left_alone,
        why_protected,
        gettext_lazy("No admin role that the rule leaves alone"),
        admin_roles_of,
        reads_terms=True,
    ),
    Clause(
        Verdict.COOLING_DOWN,
        lambda terms, now: Q(cooldown_until__gt=now),
        lambda row, terms, now: _(COOLING_DOWN).format(
            day=on_day(row.cooldown_until), why=translated(row.cooldown_reason)
        ),
        gettext_lazy("Not in cool-down"),
        lambda row, terms, now: (
            _("until {day}").format(day=on_day(row.cooldown_until)) if row.cooldown_until else _("no cool-down")
        ),
        reads_records=True,
    ),
    Clause(
        Verdict.UNKNOWN,
        _unknown,
        why_unknown,
        gettext_lazy("License, role and dates are known"),
        lambda row, terms, now: row.implausible_dates or f"{row.license_label}, {row.role_label}",
    ),
    Clause(
        Verdict.DATES_WENT_BACK,
        lambda terms, now: Q(review_passed=False) & known_dates.needs_review(),
        why_dates_went_back,
        gettext_lazy("{vendor}'s dates did not go back"),
        lambda row, terms, now: vendor_says_now(row) or _("as new as before"),
        reads_records=True,
    ),
    Clause(
        Verdict.IN_GRACE,
        lambda terms, now: Q(license_assigned_at__gt=now - timedelta(days=terms.grace)),
        why_grace,
        gettext_lazy("Not a new joiner"),
        lambda row, terms, now: (
            licensed_for(days_since(row.license_assigned_at, now))
            if row.license_assigned_at
            else _("assigned at an unknown date")
        ),
        reads_terms=True,
    ),
    Clause(
        Verdict.ACTIVE,
        lambda terms, now: ~_idle_before(terms, now),
        why_active,
        gettext_lazy("Inactive longer than the threshold"),
        lambda row, terms, now: _("{days}, threshold {threshold}").format(
            days=in_days(days_since(row.idle_since, now)), threshold=in_days(terms.threshold_for(row.license))
        ),
        reads_terms=True,
    ),
    Clause(
        Verdict.ADMIN_ROLE,
        _admin_role,
        why_admin_role,
        gettext_lazy("No admin role that needs a review"),
        admin_roles_of,
        reads_terms=True,
    ),
    Clause(
        Verdict.NEVER_ACTIVE,
        _never_active,
        why_never_active,
        gettext_lazy("Was active at least once"),
        lambda row, terms, now: (
            _("last on {day}").format(day=on_day(row.last_activity_at)) if row.last_activity_at else _("never")
        ),
        reads_terms=True,
    ),
)

PROTECTIONS = next(number for number, clause in enumerate(CLAUSES) if clause.verdict == Verdict.PROTECTED)


@dataclass(frozen=True, slots=True)
class Check:
    """The result of one clause for one subscription.

    `passed` is None for the clauses after the one that decided, and for what the vendor does not let us check.
    """

    label: str
    fact: str
    passed: bool | None


def verdict_case(terms: Terms, now: datetime, clauses: Iterable[Clause] = CLAUSES) -> Case:
    """The CASE that evaluates rows of Subscription."""
    return Case(
        *(When(clause.when(terms, now), then=Value(clause.verdict.value)) for clause in clauses),
        default=Value(Verdict.CANDIDATE.value),
    )


def explain(row: Subscription, terms: Terms, *, verdict: Verdict | None = None) -> str:
    """One sentence for the row's verdict (the stored one, unless another is given)."""
    now = database_now()
    if verdict is None and row.changed_run.awaits_verdicts:
        return _("Its facts are new since {run}, and the verdict on them is being written.").format(run=row.changed_run)
    verdict_now = verdict or row.verdict
    for clause in CLAUSES:
        if clause.verdict == verdict_now:
            return clause.why(row, terms, now)
    if verdict_now == Verdict.CANDIDATE:
        return explain_candidate(row, terms, now)
    return _("Not evaluated yet: waits for the next complete download.")


def lead(row: Subscription, terms: Terms) -> str:
    """One sentence for the row's stored verdict, with the person's name. A candidate's has the facts of `explain`."""
    if row.changed_run.awaits_verdicts:
        return _("The facts about {name} are new, and there is no verdict on them yet.").format(name=row.display_name)
    idle = days_since(row.idle_since, database_now())
    never_active = row.verdict == Verdict.CANDIDATE and row.last_activity_at is None
    return str(NEVER_ACTIVE_LEAD if never_active else LEADS[row.verdict]).format(
        name=row.display_name,
        license=row.license_label,
        day=on_day(row.idle_since),
        idle=in_days(idle),
        over=in_days(idle - terms.threshold_for(row.license)),
    )


def explain_review(row: Subscription, terms: Terms, *, verdict: Verdict | None = None) -> str:
    """Explain why somebody needs review: the sentence of `explain` without the words `Needs review:`."""
    return explain(row, terms, verdict=verdict).removeprefix(needs_review(""))


def checks(row: Subscription, terms: Terms) -> list[Check]:
    """The result of every clause, in order, with the fact behind it. The database decides, as for all rows."""
    now = database_now()
    decided = _first_that_holds(row, terms, now)
    found: list[Check] = []
    for number, clause in enumerate(CLAUSES):
        fact = clause.fact(row, terms, now)
        is_asked = number <= decided and fact != str(NOT_CHECKED)
        label = capfirst(str(clause.label).format(vendor=row.profile.vendor))
        found.append(Check(label, fact, number != decided if is_asked else None))
    return found


def _first_that_holds(row: Subscription, terms: Terms, now: datetime) -> int:
    """The number of the clause that decides; behind the last one for a candidate.

    The clauses before the one about protections decide about most people, and are asked first: to ask the others as
    well takes ten times as long.
    """
    numbered = list(enumerate(CLAUSES))
    for some in (numbered[:PROTECTIONS], numbered[PROTECTIONS:]):
        first = Case(*(When(clause.when(terms, now), then=Value(number)) for number, clause in some), default=None)
        number: int | None = Subscription.objects.filter(pk=row.pk).values_list(first, flat=True).get()
        if number is not None:
            return number
    return len(CLAUSES)
