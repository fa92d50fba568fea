"""Decide on people who need review: keep them, look them up at the vendor, or make them candidates nevertheless.

Each person is decided alone. If something is wrong with one person, the others are done, and this person is named with
the reason.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

from django.contrib.auth.models import User
from django.db import transaction
from django.utils import timezone
from django.utils.translation import gettext as _

from integrations import credential_store
from integrations.connectors.contract import ConnectorError, english
from integrations.models import IntegrationProfile
from licensehub.audit.actions import Action
from licensehub.audit.log import record
from licensehub.translations.stored import as_evidence, in_english
from licensehub.ui.formatting import name_of
from subscriptions.accounts.own_seat import refuse_own_seat
from subscriptions.activity.snapshots import keep_replaced
from subscriptions.bulk_sql import FEW
from subscriptions.candidates import locks
from subscriptions.candidates.actions import cool_down
from subscriptions.candidates.propose import open_reviewed
from subscriptions.eligibility.clauses import explain, explain_review
from subscriptions.eligibility.evaluate import evaluate_rows
from subscriptions.eligibility.sentences import on_day
from subscriptions.eligibility.terms import Terms, current_terms
from subscriptions.eligibility.verdict_sql import verdict_of
from subscriptions.errors import NotActionable, Refused
from subscriptions.models import RemovalCandidate, Subscription, Verdict
from subscriptions.models.subscription import NEEDS_REVIEW
from subscriptions.reclaims import switches
from subscriptions.reclaims.recheck import write_facts
from subscriptions.reclaims.switches import Operation

KEPT = english("kept after review: {reason}")
MIN_REASON_LENGTH = 10
MAX_REASON_LENGTH = 500
MAX_PAUSE_DAYS = 365
# The largest number of people to look up at once: an admin waits for the page.
MAX_LOOKED_UP = 100


@dataclass
class Decided:
    """The people who were done, and the others with the reason of each.

    `not_reached`: how many were left when the time was over. Nothing has changed for them.
    """

    done: list[Subscription] = field(default_factory=list)
    refused: list[tuple[Subscription, str]] = field(default_factory=list)
    not_reached: int = 0


def check_reason(reason: str) -> str:
    """The reason without spaces around. Raises Refused."""
    reason = reason.strip()
    if len(reason) < MIN_REASON_LENGTH:
        raise Refused(_("Say in a sentence why, for those who read it later."))
    if len(reason) > MAX_REASON_LENGTH:
        raise Refused(_("The reason has at most {most} characters.").format(most=MAX_REASON_LENGTH))
    return reason


def keep(people: Sequence[Subscription], *, days: int, reason: str, actor: User, seconds: float = math.inf) -> Decided:
    """Leave these people alone for some days. After that, people who still need a review are in the list again.

    It stops after about `seconds`.
    """
    reason = check_reason(reason)
    if not 1 <= days <= MAX_PAUSE_DAYS:
        raise Refused(
            _("Pause for 1 to {most} days. Protect people who must be left alone for longer.").format(
                most=MAX_PAUSE_DAYS
            )
        )

    def keep_one(row: Subscription) -> None:
        cool_down([row.pk], days=lambda license: days, reason=KEPT.format(reason=reason)[:200])
        data = {"days": days, "reason": reason, "needed_review": row.verdict.value}
        record(Action.REVIEW_KEPT, actor=actor, target=row, data=data)

    return _each(people, keep_one, seconds=seconds)


def make_candidates(people: Sequence[Subscription], *, reason: str, actor: User, seconds: float = math.inf) -> Decided:
    """Make them candidates although something is unclear. The reason is a part of the evidence, for the approver.

    The decision ends when the facts of the person change. If the vendor's date went back and the known one is too new
    for a candidate, the vendor's date counts from now on. It stops after about `seconds`.
    """
    reason = check_reason(reason)

    def make_one(row: Subscription) -> None:
        refuse_own_seat([(row.external_id, row.email, row.email)], actor=actor, profile=row.profile)
        switches.refuse(row.profile, Operation.PROPOSE)
        terms = current_terms(row.profile_id)
        if RemovalCandidate.objects.open().filter(subscription=row).exists():
            raise Refused(_("is a candidate already, and was approved."))
        needed = row.verdict
        _pass_review(row, terms)
        evaluate_rows(Subscription.objects.filter(pk=row.pk), terms, few=True)
        with as_evidence():
            why = explain(row, terms, verdict=needed)
        review = {
            "reason": reason,
            "by": name_of(actor),
            "by_id": actor.pk,
            "needed": in_english(needed.label),
            "why": why,
        }
        candidate = open_reviewed(row, terms, review)
        data = {"reason": reason, "needed_review": needed.value, "candidate": candidate}
        record(Action.REVIEW_PASSED, actor=actor, target=row, data=data)

    return _each(people, make_one, seconds=seconds)


def _pass_review(row: Subscription, terms: Terms) -> None:
    """Note the decision on the row. Raises Refused if the person is no candidate even then."""
    if row.last_activity_at is None and "last activity" in row.implausible_dates:
        raise Refused(
            _("has a last activity that cannot be right ({dates}), so nobody knows when it was.").format(
                dates=row.implausible_dates
            )
        )
    rows = Subscription.objects.filter(pk=row.pk, facts_at=row.facts_at)
    if rows.update(review_passed=True) != 1:
        raise NotActionable(_("has changed meanwhile."))
    found = verdict_of(row, terms)
    if found == Verdict.ACTIVE and row.dates_went_back and row.vendor_activity_at:
        _believe_vendor(row)
        found = verdict_of(row, terms)
    if found != Verdict.CANDIDATE:
        why = explain(row, terms, verdict=found)
        if not row.dates_went_back:
            raise Refused(_("cannot be a candidate: {why}").format(why=why))
        raise Refused(
            _("cannot be a candidate: {why} {vendor} showed {day} before.").format(
                why=why, vendor=row.profile.vendor, day=on_day(row.last_activity_at)
            )
        )


def _believe_vendor(row: Subscription) -> None:
    """Write the older date of the vendor as the last activity: it counts from now on."""
    values = {"last_activity_at": row.vendor_activity_at, "dates_went_back": False, "vendor_activity_at": None}
    keep_replaced(row, values, seen_at=timezone.now())
    Subscription.objects.filter(pk=row.pk, facts_at=row.facts_at).update(**values)
    row.refresh_from_db()


def look_up(people: Iterable[Subscription], *, actor: User) -> Decided:
    """Read these people at the vendor now, and evaluate them again. `done` need no review any more."""
    by_profile: dict[IntegrationProfile, list[Subscription]] = {}
    for row in people:
        by_profile.setdefault(row.profile, []).append(row)
    if sum(map(len, by_profile.values())) > MAX_LOOKED_UP:
        raise Refused(_("Look up at most {most} people at once.").format(most=MAX_LOOKED_UP))
    decided = Decided()
    for profile, rows in by_profile.items():
        _look_up(profile, rows, decided, actor=actor)
    return decided


def _look_up(profile: IntegrationProfile, rows: list[Subscription], decided: Decided, *, actor: User) -> None:
    switches.refuse(profile, Operation.DOWNLOAD_BY_HAND)
    try:
        connector = credential_store.connector_for(profile)
        found = {
            member.external_id: member for member in connector.people({row.external_id: row.email for row in rows})
        }
    except ConnectorError as error:
        raise Refused(_("{error} Nothing was changed.").format(error=error.message)) from error
    terms, ids = current_terms(profile.pk), [row.pk for row in rows]
    write_facts(profile, found.values())
    evaluate_rows(Subscription.objects.filter(pk__in=ids), terms, few=len(ids) <= FEW)
    now = Subscription.objects.select_related("profile", "evaluation").in_bulk(ids)
    for row in (now[pk] for pk in ids):
        with transaction.atomic():
            known = row.external_id in found
            record(
                Action.REVIEW_LOOKED_UP, actor=actor, target=row, data={"found": known, "verdict": row.verdict.value}
            )
        if not known:
            decided.refused.append(
                (row, _("is unknown to {vendor} now; the next download decides.").format(vendor=profile.vendor))
            )
        elif row.verdict in NEEDS_REVIEW:
            decided.refused.append((row, _("still needs review. {why}").format(why=explain_review(row, terms))))
        else:
            decided.done.append(row)


def _each(people: Sequence[Subscription], decide: Callable[[Subscription], None], *, seconds: float) -> Decided:
    """Decide on each person in a transaction of their own, under the lock of the profile."""
    decided, ends_at = Decided(), time.monotonic() + seconds
    for number, given in enumerate(people):
        if time.monotonic() >= ends_at:
            decided.not_reached = len(people) - number
            break
        try:
            with transaction.atomic():
                locks.lock_profile(given.profile_id)
                row = Subscription.objects.select_related("profile", "evaluation").get(pk=given.pk)
                if row.verdict not in NEEDS_REVIEW:
                    raise Refused(_("needs no review any more: {label}.").format(label=row.verdict.label))
                decide(row)
        except (Refused, NotActionable) as error:
            decided.refused.append((given, str(error)))
        else:
            decided.done.append(row)
    return decided
