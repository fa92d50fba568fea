"""Decide on people who need review: keep them, look them up at the vendor, or make them candidates.

A few statements decide on many people. If one person cannot be decided, the others are done, and this person is named
with the reason.
"""

from __future__ import annotations

import math
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from django.contrib.auth.models import User
from django.db import transaction
from django.utils.translation import gettext as _

from integrations.connectors.contract import ConnectorError, english
from integrations.credentials import credential_store
from integrations.models import IntegrationProfile
from licensehub.audit.actions import Action
from licensehub.audit.log import Row, record, record_rows
from licensehub.database.clock import database_now
from licensehub.translations.stored import as_evidence, in_english
from licensehub.ui.formatting import name_of
from licensehub.ui.lists.id_filter import IdIn, IdList
from subscriptions.accounts.own_seat import own_among, refuse_own_seat
from subscriptions.accounts.scope import refuse_outside
from subscriptions.activity.snapshots import keep_replaced
from subscriptions.bulk_sql import FEW
from subscriptions.candidates import locks
from subscriptions.candidates.actions import cool_down
from subscriptions.candidates.propose import open_reviewed
from subscriptions.eligibility.clauses import explain
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
# People per transaction. Between two transactions, the remaining time is checked.
CHUNK = 1000
VERDICT = "evaluation__verdict"

# The people who were done, and the others with the reason.
Outcome = tuple[list[Subscription], list[tuple[Subscription, str]]]


@dataclass
class Decided:
    """The people who were done, and the others with the reason of each.

    `still_in_review`: people who were looked up, and whose facts still need a decision.
    `not_reached`: how many were left when the time was over. Nothing has changed for them.
    """

    done: list[Subscription] = field(default_factory=list)
    refused: list[tuple[Subscription, str]] = field(default_factory=list)
    still_in_review: list[Subscription] = field(default_factory=list)
    not_reached: int = 0


def check_reason(reason: str) -> str:
    """The reason without spaces around. Raises Refused."""
    reason = reason.strip()
    if len(reason) < MIN_REASON_LENGTH:
        raise Refused(_("Say in a sentence why, for those who read it later."))
    if len(reason) > MAX_REASON_LENGTH:
        raise Refused(_("The reason has at most {most} characters.").format(most=MAX_REASON_LENGTH))
    return reason


def refuse_outside_of(people: Iterable[Subscription], *, actor: User) -> None:
    for profile_id in {row.profile_id for row in people}:
        refuse_outside(actor, profile_id)


def keep(people: Sequence[Subscription], *, days: int, reason: str, actor: User, seconds: float = math.inf) -> Decided:
    """Leave these people alone for some days. After that, people who still need a review are in the list again.

    It stops after about `seconds`.
    """
    refuse_outside_of(people, actor=actor)
    reason = check_reason(reason)
    if not 1 <= days <= MAX_PAUSE_DAYS:
        raise Refused(
            _("Pause for 1 to {most} days. Protect people who must be left alone for longer.").format(
                most=MAX_PAUSE_DAYS
            )
        )

    def keep_these(rows: list[Subscription]) -> Outcome:
        cool_down([row.pk for row in rows], days=lambda license: days, reason=KEPT.format(reason=reason)[:200])
        data = {"days": days, "reason": reason}
        events = [_event(row, {**data, "needed_review": row.verdict.value}) for row in rows]
        record_rows(Action.REVIEW_KEPT, actor=actor, rows=events)
        return rows, []

    return _in_chunks(people, keep_these, seconds=seconds)


def make_candidates(people: Sequence[Subscription], *, reason: str, actor: User, seconds: float = math.inf) -> Decided:
    """Make them candidates although something is unclear. The reason is a part of the evidence, for the approver.

    The decision ends when the facts of the person change. If the vendor's date went back and the known one is too new
    for a candidate, the vendor's date counts from now on. It stops after about `seconds`.
    """
    refuse_outside_of(people, actor=actor)
    reason = check_reason(reason)

    def make_these(rows: list[Subscription]) -> Outcome:
        profile, refused = rows[0].profile, _why_not_made(rows, actor=actor)
        switches.refuse(profile, Operation.PROPOSE)
        terms, needed = current_terms(profile.pk), {row.pk: row.verdict for row in rows}
        able = [row for row in rows if row.pk not in refused]
        with as_evidence():
            # Read before the decision, which may replace the date by the vendor's.
            why = {row.pk: explain(row, terms, verdict=row.verdict) for row in able}
        by_vendors_date = {row.pk: row for row in able if row.dates_went_back and row.vendor_activity_at}
        refused |= _pass_all([row for row in able if row.pk not in by_vendors_date], terms)
        refused |= _pass_each(by_vendors_date.values(), terms)
        done = [row for row in able if row.pk not in refused]
        reviews = {row.pk: _review(needed[row.pk], why[row.pk], reason=reason, actor=actor) for row in done}
        made = open_reviewed(profile, reviews, terms)
        events = [
            _event(row, {"reason": reason, "needed_review": needed[row.pk].value, "candidate": made[row.pk]})
            for row in done
        ]
        record_rows(Action.REVIEW_PASSED, actor=actor, rows=events)
        return done, [(row, refused[row.pk]) for row in rows if row.pk in refused]

    return _in_chunks(people, make_these, seconds=seconds)


def _event(row: Subscription, data: dict[str, Any]) -> Row:
    return Row(Subscription._meta.label_lower, row.pk, str(row), data)


def _review(needed: Verdict, why: str, *, reason: str, actor: User) -> dict[str, Any]:
    """The decision as a part of the evidence, which the approver reads."""
    return {
        "reason": reason,
        "by": name_of(actor),
        "by_id": actor.pk,
        "needed": in_english(needed.label),
        "why": why,
    }


def _why_not_made(rows: list[Subscription], *, actor: User) -> dict[int, str]:
    """Id -> the reason why this person cannot be made a candidate, under any rule.

    Raises Refused if the actor has no address.
    """
    profile, ids = rows[0].profile, IdList.of(row.pk for row in rows)
    refuse_own_seat([], actor=actor, profile=profile)
    seats = ((row.pk, row.external_id, row.email, row.email) for row in rows)
    opened = RemovalCandidate.objects.open().filter(IdIn("subscription", ids))
    wrong = _("has a last activity that cannot be right ({dates}), so nobody knows when it was.")
    return {
        **{
            row.pk: wrong.format(dates=row.implausible_dates)
            for row in rows
            if row.last_activity_at is None and "last activity" in row.implausible_dates
        },
        **dict.fromkeys(opened.values_list("subscription", flat=True), _("is a candidate already, and was approved.")),
        **own_among(seats, actor=actor, profile=profile),
    }


def _pass_all(rows: list[Subscription], terms: Terms) -> dict[int, str]:
    """Note the decision on these rows and evaluate them.

    Returns id -> reason for people who are no candidates even then. Their rows are as they were before.
    """
    ids = IdList.of(row.pk for row in rows)
    if not ids.number:
        return {}
    people = Subscription.objects.filter(IdIn("pk", ids))
    people.update(review_passed=True)
    evaluate_rows(people, terms, few=ids.number <= FEW)
    # The UPDATE has locked the rows. So this reads the facts that another process wrote before it.
    now = {pk: (facts_at, verdict) for pk, facts_at, verdict in people.values_list("pk", "facts_at", VERDICT)}
    refused = {}
    for row in rows:
        facts_at, verdict = now[row.pk]
        if facts_at != row.facts_at:
            refused[row.pk] = _("has changed meanwhile.")
        elif verdict != Verdict.CANDIDATE:
            refused[row.pk] = _why_no_candidate(row, terms, Verdict(verdict))
    before = IdList.of(row.pk for row in rows if row.pk in refused and not row.review_passed)
    if before.number:
        undone = Subscription.objects.filter(IdIn("pk", before))
        undone.update(review_passed=False)
        evaluate_rows(undone, terms, few=before.number <= FEW)
    return refused


def _why_no_candidate(row: Subscription, terms: Terms, found: Verdict) -> str:
    why = explain(row, terms, verdict=found)
    if not row.dates_went_back:
        return _("cannot be a candidate: {why}").format(why=why)
    return _("cannot be a candidate: {why} {vendor} showed {day} before.").format(
        why=why, vendor=row.profile.vendor, day=on_day(row.last_activity_at)
    )


def _pass_each(rows: Iterable[Subscription], terms: Terms) -> dict[int, str]:
    """Do the same as `_pass_all`, one person after the other: the vendor's older date may have to count for them."""
    refused = {}
    for row in rows:
        try:
            with transaction.atomic():
                _pass_review(row, terms)
                evaluate_rows(Subscription.objects.filter(pk=row.pk), terms, few=True)
        except (Refused, NotActionable) as error:
            refused[row.pk] = str(error)
    return refused


def _pass_review(row: Subscription, terms: Terms) -> None:
    """Note the decision on the row. Raises Refused if the person is no candidate even then."""
    rows = Subscription.objects.filter(pk=row.pk, facts_at=row.facts_at)
    if rows.update(review_passed=True) != 1:
        raise NotActionable(_("has changed meanwhile."))
    found = verdict_of(row, terms)
    if found == Verdict.ACTIVE:
        _believe_vendor(row)
        found = verdict_of(row, terms)
    if found != Verdict.CANDIDATE:
        raise Refused(_why_no_candidate(row, terms, found))


def _believe_vendor(row: Subscription) -> None:
    """Write the older date of the vendor as the last activity: it counts from now on."""
    values = {"last_activity_at": row.vendor_activity_at, "dates_went_back": False, "vendor_activity_at": None}
    keep_replaced(row, values, seen_at=database_now())
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
    for profile in by_profile:
        refuse_outside(actor, profile.pk)
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
            decided.still_in_review.append(row)
        else:
            decided.done.append(row)


def _in_chunks(
    people: Sequence[Subscription], decide: Callable[[list[Subscription]], Outcome], *, seconds: float
) -> Decided:
    """Decide on many people of a profile, in one transaction per chunk, under the profile's lock.

    If `decide` raises, its error is the reason for each person of the chunk.
    """
    decided, ends_at = Decided(), time.monotonic() + seconds
    by_profile: dict[int, list[Subscription]] = defaultdict(list)
    for row in people:
        by_profile[row.profile_id].append(row)
    for rows in by_profile.values():
        for chunk in (rows[at : at + CHUNK] for at in range(0, len(rows), CHUNK)):
            if time.monotonic() >= ends_at:
                decided.not_reached += len(chunk)
                continue
            done, refused = _decide(chunk, decide)
            decided.done += done
            decided.refused += refused
    return decided


def _decide(chunk: list[Subscription], decide: Callable[[list[Subscription]], Outcome]) -> Outcome:
    ids = IdList.of(row.pk for row in chunk)
    with transaction.atomic():
        locks.lock_profile(chunk[0].profile_id)
        now = Subscription.objects.select_related("profile", "evaluation").filter(IdIn("pk", ids))
        rows = {row.pk: row for row in now}
        waiting = [rows[given.pk] for given in chunk if rows[given.pk].verdict in NEEDS_REVIEW]
        over = [
            (given, _("needs no review any more: {label}.").format(label=rows[given.pk].verdict.label))
            for given in chunk
            if rows[given.pk].verdict not in NEEDS_REVIEW
        ]
        if not waiting:
            return [], over
        try:
            with transaction.atomic():
                done, refused = decide(waiting)
        except (Refused, NotActionable) as error:
            return [], [*over, *((row, str(error)) for row in waiting)]
    return done, [*over, *refused]
