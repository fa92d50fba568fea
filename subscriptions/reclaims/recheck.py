"""Recheck people right before the send: read and write fresh facts, and evaluate them as after a download.

The stricter of the frozen and the current rule decides. A reason against the send is final: it ends the item.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db import transaction

from integrations.connectors.contract import Connector, Member, english
from integrations.models import IntegrationProfile
from licensehub.database.clock import database_now
from licensehub.translations.stored import as_evidence
from subscriptions.activity import license_dates
from subscriptions.activity.known_dates import counted
from subscriptions.activity.reactivation import cooldown_from, was_reactivated
from subscriptions.activity.returns import note_returns
from subscriptions.activity.snapshots import keep_replaced
from subscriptions.candidates.withdraw import closing_for
from subscriptions.eligibility.buckets import note_change
from subscriptions.eligibility.clauses import explain
from subscriptions.eligibility.evaluate import evaluate_rows
from subscriptions.eligibility.terms import Terms, current_terms
from subscriptions.eligibility.verdict_sql import verdict_of
from subscriptions.models import (
    CandidateState,
    CloseReason,
    Direction,
    Reclaim,
    ReclaimState,
    RequestedRemoval,
    Subscription,
    Verdict,
)
from subscriptions.models.subscription import FACTS, REVIEWED_FACTS, comparable
from subscriptions.reclaims import backup_guard
from subscriptions.reclaims.signed.signatures import is_signed

# The sentences become the outcome of an item, and of a dry run.
NOT_KNOWN = english("Not sent: {vendor} no longer knows this person.")
ACTIVE_ALREADY = english("Not sent: this person is active at {vendor} already.")
STILL_DEACTIVATED = english("Still deactivated at {vendor}.")
STILL_CANDIDATE = english("Still a candidate: {why}")
NOT_SENT = english("Not sent: {why}")
VOID = english(
    "Not sent: this was approved before a restored backup was checked, and may have been done once already. "
    "Request this person again."
)
ASKED_ELSEWHERE = english(
    "Not sent: the address of this person has changed since the question was sent, so the missing answer does not "
    "count. Request this person again: the question then goes to the new address."
)
WANTS_TO_KEEP = english("Not sent: this person answered that they want to keep the seat.")
UNREACHED = english(
    "Not sent: the mail with the question came back, so the silence of this person means nothing. Check the "
    "address and ask in another way, then resume, or leave the seat."
)
WRONG_SIGNATURE = english(
    "Tampered, not sent: the approval does not match its signature, so somebody changed it. Find out who can write "
    "to the database, then request this person again."
)
LAPSED = english("Not sent: the approval lapsed before the send. Request this person again.")
OTHER_LICENSE = english("Not sent: the license is {license} now.")
OTHER_ROLE = english("Not sent: the role is {role} now.")
OTHER_ADMIN_ROLES = english("Not sent: the admin roles are not those that were approved; now: {roles}.")
NO_ADMIN_ROLES = english("Not sent: the admin roles are not those that were approved; now: none.")


@dataclass(frozen=True, slots=True)
class Decision:
    """The decision on one approved item: send it, or else end it with this state, sentence and reason."""

    send: bool
    sentence: str
    state: ReclaimState = ReclaimState.SKIPPED
    candidate_state: CandidateState = CandidateState.CLOSED_SKIPPED
    close_reason: CloseReason | None = None


def recheck(profile: IntegrationProfile, items: list[Reclaim], connector: Connector) -> dict[int, Decision]:
    """Read and write fresh facts of these people, then decide on each. Returns reclaim id -> decision.

    Raises the connector's errors; then nothing was decided.
    """
    return {
        item.pk: decision for item, decision in zip(items, recheck_in_order(profile, items, connector), strict=True)
    }


def recheck_in_order(profile: IntegrationProfile, items: list[Reclaim], connector: Connector) -> list[Decision]:
    """The same as `recheck`, as a list in the order of the items, since the items of a dry run have no id."""
    people = {item.subscription.external_id: item.subscription.email for item in items}
    found = {member.external_id: member for member in connector.people(people)}
    write_facts(profile, found.values())
    terms = current_terms(profile.pk)
    evaluate_rows(Subscription.objects.filter(pk__in=[item.subscription_id for item in items]), terms, few=True)
    void_before = backup_guard.approvals_void_before()
    with as_evidence():
        return [_still_approved(item, _decide(item, found, terms), void_before) for item in items]


def write_facts(profile: IntegrationProfile, members: Iterable[Member]) -> None:
    """Write the facts that differ, like a download of these people only, and keep replaced ones for their timeline."""
    found = {member.external_id: member for member in members}
    for known in Subscription.objects.filter(profile=profile, external_id__in=list(found)):
        member = found[known.external_id]
        if _differing(known, member):
            with transaction.atomic():
                _write(Subscription.objects.select_for_update().get(pk=known.pk), member)


def _differing(row: Subscription, member: Member) -> dict[str, Any]:
    """The columns that differ from the vendor's answer, with the values to write. The latest known activity counts."""
    values = counted(row, {fact: getattr(member, fact) for fact in FACTS})
    return {name: value for name, value in values.items() if getattr(row, name) != value}


def _write(row: Subscription, member: Member) -> None:
    """Write the facts, unless another recheck at the same time has written them."""
    differing = _differing(row, member)
    if not differing:
        return
    now = database_now()
    values = {**differing, "facts_at": now}
    if any(fact in differing for fact in REVIEWED_FACTS):
        values["review_passed"] = False
    values["normalized_email"] = comparable(member.email)
    if was_reactivated(known_active=row.active, found_active=member.active):
        values |= cooldown_from(now)
    elif license_dates.went_back(row, member, now):
        values |= license_dates.cooldown_from(now)
    keep_replaced(row, values, seen_at=now)
    Subscription.objects.filter(pk=row.pk).update(**values)
    note_change(row.profile_id)
    if was_reactivated(known_active=row.active, found_active=member.active):
        note_returns(row.profile, at=now, subscription=row.pk)


def _decide(item: Reclaim, found: Mapping[str, Member], current: Terms) -> Decision:
    row = Subscription.objects.select_related("profile").get(pk=item.subscription_id)
    if row.external_id not in found:
        return _no(NOT_KNOWN.format(vendor=row.profile.vendor), CloseReason.GONE)
    if item.direction == Direction.REACTIVATE:
        if row.active:  # somebody else has activated this person
            still = Decision(send=False, sentence=ACTIVE_ALREADY.format(vendor=row.profile.vendor))
        else:
            still = Decision(send=True, sentence=STILL_DEACTIVATED.format(vendor=row.profile.vendor))
        return _refused_approval(item) or still
    return (
        _refused_approval(item)
        or _kept(item)
        or _asked_elsewhere(item)
        or _refused_by_facts(item, row, current)
        or Decision(send=True, sentence=STILL_CANDIDATE.format(why=explain(row, current, verdict=Verdict.CANDIDATE)))
    )


def _still_approved(item: Reclaim, decision: Decision, void_before: datetime | None) -> Decision:
    """Returns the decision that counts. After a restored backup was released, a send needs a newer approval."""
    if not decision.send or void_before is None or item.queued_at > void_before:
        return decision
    return lapsed(VOID)


def _kept(item: Reclaim) -> Decision | None:
    """Read the answer again, and skip a person who wants to keep the seat, or who never got the question."""
    person = RequestedRemoval.objects.filter(pk=item.removal_id).first()
    if person is None:
        return None
    # A dry run treats its request as decided, and does not store that.
    person.request = item.removal.request
    if not RequestedRemoval.objects.filter(pk=person.pk).reached().exists():
        return unreached()
    return kept() if person.keep_counts else None


def _asked_elsewhere(item: Reclaim) -> Decision | None:
    """Skip a person without an answer whose address has changed since the question: see `approvals.collecting`."""
    silent = RequestedRemoval.objects.filter(pk=item.removal_id, answer="")
    if not silent.asked_elsewhere():
        return None
    return lapsed(ASKED_ELSEWHERE)


def kept() -> Decision:
    return _no(WANTS_TO_KEEP, CloseReason.KEPT_BY_USER)


def unreached() -> Decision:
    return Decision(send=False, sentence=UNREACHED, candidate_state=CandidateState.ATTENTION_REQUIRED)


def _refused_approval(item: Reclaim) -> Decision | None:
    removal, request = item.removal, item.removal.request
    # The signature first: only then the evidence has the keys that it had at the approval.
    is_what_was_approved = (
        item.direction == request.direction
        and is_signed(item)
        and item.subscription.external_id == removal.evidence["external_id"]
    )
    if not is_what_was_approved:
        return tampered(WRONG_SIGNATURE)
    if request.valid_until is None or request.valid_until <= database_now():
        return lapsed()
    return None


def tampered(sentence: str) -> Decision:
    return Decision(
        send=False,
        sentence=sentence,
        state=ReclaimState.TAMPERED,
        candidate_state=CandidateState.ATTENTION_REQUIRED,
    )


def lapsed(sentence: str = LAPSED) -> Decision:
    return Decision(
        send=False,
        sentence=sentence,
        candidate_state=CandidateState.READY,
        close_reason=CloseReason.APPROVAL_LAPSED,
    )


def _refused_by_facts(item: Reclaim, row: Subscription, current: Terms) -> Decision | None:
    evidence = item.removal.evidence
    frozen = Terms.from_json(evidence["terms"])
    for terms in (current,) if frozen == current else (current, frozen):
        verdict = verdict_of(row, terms)
        if verdict != Verdict.CANDIDATE:
            state, reason = closing_for(row, verdict, evidence)
            sentence = NOT_SENT.format(why=explain(row, terms, verdict=verdict))
            return Decision(send=False, sentence=sentence, candidate_state=state, close_reason=reason)
    if row.license != evidence["license"]:
        return _no(OTHER_LICENSE.format(license=row.license_label), CloseReason.LICENSE_CHANGED)
    if row.role != evidence["role"]:
        return _no(OTHER_ROLE.format(role=row.role_label), CloseReason.ROLE_CHANGED)
    # Evidence that was frozen before LicenseHub read admin roles has none of them.
    if list(row.admin_roles) != evidence.get("admin_roles", []):
        sentence = OTHER_ADMIN_ROLES.format(roles=row.admin_roles_label) if row.admin_roles else NO_ADMIN_ROLES
        return _no(sentence, CloseReason.ROLE_CHANGED)
    return None


def _no(sentence: str, reason: CloseReason) -> Decision:
    return Decision(send=False, sentence=sentence, close_reason=reason)
