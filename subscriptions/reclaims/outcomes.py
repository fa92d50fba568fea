"""The end of a send: read back, then done, refused, in doubt, or back in the queue.

Each ending is one guarded UPDATE from the state that the item had, with its candidate, the fact and the audit, in one
transaction. An item in doubt is read back, twice if necessary; it is never sent again without a new approval.
"""

from __future__ import annotations

import uuid
from datetime import timedelta
from typing import Any

from django.db import transaction
from django.utils.text import capfirst

from integrations.connections import connection_state
from integrations.connectors.contract import (
    ConfigError,
    Connector,
    ConnectorError,
    PermanentError,
    Receipt,
    TransientError,
    english,
)
from integrations.models import IntegrationProfile
from licensehub.audit.actions import Action
from licensehub.audit.log import record
from licensehub.database.clock import database_now
from subscriptions.activity.returns import note_returns, note_taken_again
from subscriptions.activity.snapshots import keep_replaced
from subscriptions.candidates.actions import KEPT_BY_USER, cool_down, move
from subscriptions.eligibility.evaluate import evaluate_rows
from subscriptions.eligibility.terms import Terms, current_terms
from subscriptions.errors import NotActionable
from subscriptions.models import (
    CandidateState,
    CloseReason,
    Direction,
    HoldReason,
    Reclaim,
    ReclaimState,
    RemovalCandidate,
    Subscription,
)
from subscriptions.reclaims.direction import spec_for
from subscriptions.reclaims.holds import RETRY_DELAY
from subscriptions.reclaims.recheck import Decision, lapsed
from subscriptions.reclaims.restore_check import note_facts, read_restored_seat

UNKNOWN_PERSON = english("{vendor} does not know this person any more: {error}")
NOT_READ_BACK = english("Reading back failed: {error}")
REFUSED = english("{vendor} refused: {error}")
GIVEN_UP = english(
    "Not sent: {count} times, a worker failed or ended while it worked on this person, before it sent anything. The "
    "log of the workers says more. When that is repaired, request this person again."
)
RESTORED = english("restored")
READS_NEEDED = 2
READ_BACK_DELAY = timedelta(seconds=5)
# A restored person is left alone for this long, also by approvals that are still valid.
RESTORED_COOLDOWN = timedelta(days=30)


def note_receipt(item: Reclaim, receipt: Receipt) -> None:
    """Note the vendor's answer to the send. Whether it is true is found by reading back."""
    Reclaim.objects.filter(pk=item.pk, state=ReclaimState.SENDING, token=item.token).update(
        http_status=receipt.status, request_id=receipt.request_id
    )


def read_back(item: Reclaim, connector: Connector) -> str:
    """Ask the vendor what is true now, and end the item by that. Returns the state that the item has then."""
    try:
        active = connector.is_active(item.subscription.external_id)
    except PermanentError as error:
        vendor = capfirst(item.profile.vendor)
        _escalate(item, UNKNOWN_PERSON.format(vendor=vendor, error=error.message), found="unknown")
    except ConnectorError as error:
        mark_in_doubt(item, NOT_READ_BACK.format(error=error.message), status=item.http_status)
        if isinstance(error, ConfigError):
            connection_state.mark_failed(item.profile, error)
    else:
        if active != spec_for(item.direction).leaves_active:
            _without_effect(item)
        elif item.direction == Direction.DEACTIVATE:
            mark_done(item)
        else:
            # A restore also looks up what came back, and writes that down after it is done.
            found = read_restored_seat(item, connector)
            mark_done(item, came_back=found.sentence, license_after=found.license)
            note_facts(item, found)
    item.refresh_from_db()
    return item.state


def mark_done(item: Reclaim, *, came_back: str = "", license_after: str = "") -> None:
    """End the item as done: the vendor shows what was wanted. `license_after` is for a restore."""
    spec = spec_for(item.direction)
    was_in_doubt = item.state == ReclaimState.IN_DOUBT
    outcome = came_back or spec.read_as
    if was_in_doubt:
        outcome = spec.answer_lost.format(before=came_back or item.outcome).strip()
    _finish(
        item,
        to=ReclaimState.DONE,
        candidate_state=CandidateState.CLOSED_COMPLETE,
        reason=CloseReason.CONFIRMED_LATER if was_in_doubt else CloseReason.RECLAIMED,
        outcome=outcome,
        license_after=license_after,
        read_back=spec.found,
        read_back_at=database_now(),
    )


def _without_effect(item: Reclaim) -> None:
    """The first read may be too early, since the vendor may not be done yet. After the second, a human decides."""
    spec = spec_for(item.direction)
    if item.reads + 1 < READS_NEEDED:
        message = item.outcome or spec.still
        mark_in_doubt(item, message, status=item.http_status, reads=item.reads + 1)
        return
    found = "inactive" if spec.leaves_active else "active"
    _escalate(item, spec.no_effect.format(vendor=item.profile.vendor), found=found)


def mark_in_doubt(item: Reclaim, message: str, *, status: int | None, reads: int | None = None) -> None:
    """Commit `in_doubt`. The item is read back a little later. `reads` counts how often no effect was found."""
    now = database_now()
    with transaction.atomic():
        doubted = Reclaim.objects.filter(pk=item.pk, token=item.token, state=item.state).update(
            state=ReclaimState.IN_DOUBT,
            outcome=message,
            http_status=status,
            reads=item.reads if reads is None else reads,
            not_before=now + READ_BACK_DELAY,
        )
        if doubted and item.state == ReclaimState.SENDING:
            action = spec_for(item.direction).endings[ReclaimState.IN_DOUBT]
            record(action, actor=None, target=item, data={"outcome": message})


def _escalate(item: Reclaim, message: str, *, found: str) -> None:
    _finish(
        item,
        to=ReclaimState.IN_DOUBT,
        candidate_state=CandidateState.ATTENTION_REQUIRED,
        attention=message,
        outcome=message,
        read_back=found,
        read_back_at=database_now(),
    )


def mark_refused(item: Reclaim, error: PermanentError) -> None:
    """End the item as refused: the vendor refused, and would refuse again."""
    message = REFUSED.format(vendor=capfirst(item.profile.vendor), error=error.message)
    _finish(
        item,
        to=ReclaimState.FAILED,
        candidate_state=CandidateState.ATTENTION_REQUIRED,
        attention=message,
        outcome=message,
        http_status=error.status,
    )


def mark_unsent(item: Reclaim, decision: Decision) -> None:
    """End an item for a final reason, before anything was sent."""
    to_look_at = decision.candidate_state == CandidateState.ATTENTION_REQUIRED
    _finish(
        item,
        to=decision.state,
        candidate_state=decision.candidate_state,
        reason=decision.close_reason or "",
        attention=decision.sentence if to_look_at else "",
        outcome=decision.sentence,
    )


def mark_tampered(item: Reclaim, sentence: str) -> None:
    """End an item whose rows are not those that LicenseHub wrote. It is never sent, and its profile is held.

    The candidate may be in any state, and its evidence may be anything, so it moves only if it still waits.
    """
    with transaction.atomic():
        hold_profile(item.profile, sentence)
        waits = RemovalCandidate.objects.filter(pk=item.removal.candidate_id, state=CandidateState.AWAITING_REVOCATION)
        _finish(
            item,
            to=ReclaimState.TAMPERED,
            candidate_state=CandidateState.ATTENTION_REQUIRED if waits.exists() else None,
            attention=sentence,
            outcome=sentence,
        )


def hold_profile(profile: IntegrationProfile, why: str) -> bool:
    """Hold the sends of this profile until an admin has checked it. Returns False when it was held already."""
    with transaction.atomic():
        free = IntegrationProfile.objects.filter(pk=profile.pk, held_at=None)
        if free.update(held_at=database_now(), held_why=why) != 1:
            return False
        record(Action.PROFILE_HELD, actor=None, target=profile, data={"why": why})
    return True


def mark_given_up(item: Reclaim) -> None:
    """End an item on which one worker after the other ended or failed, before anything was sent."""
    sentence = GIVEN_UP.format(count=item.tries)
    mark_unsent(item, Decision(send=False, sentence=sentence, candidate_state=CandidateState.ATTENTION_REQUIRED))


def mark_lapsed(item: Reclaim) -> None:
    """End an item whose approval is no longer valid, before anything was sent."""
    mark_unsent(item, lapsed())


_CANDIDATE_ACTIONS = {
    CandidateState.READY: Action.CANDIDATE_RETURNED,
    CandidateState.ATTENTION_REQUIRED: Action.CANDIDATE_NEEDS_ATTENTION,
}


def _finish(
    item: Reclaim,
    *,
    to: ReclaimState,
    outcome: str,
    candidate_state: CandidateState | None,
    reason: CloseReason | str = "",
    attention: str = "",
    **columns: object,
) -> None:
    """End an item in one transaction: its row, its candidate, the fact and the audit.

    Raises NotActionable when the row no longer has the state and the token of `item`. `columns` are further columns of
    the row, e.g. what was read back. Without `candidate_state` the candidate stays as it is.
    """
    with transaction.atomic():
        finished = Reclaim.objects.filter(pk=item.pk, state=item.state, token=item.token).update(
            state=to, finished_at=database_now(), lease_until=None, hold_reason="", outcome=outcome, **columns
        )
        if finished != 1:
            raise NotActionable(spec_for(item.direction).finished_elsewhere.format(person=item))
        correlation = uuid.uuid4()
        read = {"read_back": "", "http_status": item.http_status, "license_after": ""} | columns
        shown = {name: read[name] for name in ("read_back", "http_status", "license_after")}
        data = {"outcome": outcome, "request": item.removal.request.number, **shown}
        action = spec_for(item.direction).endings[to]
        record(action, actor=None, target=item, data=data, correlation=correlation)
        if candidate_state and item.removal.request.direction == Direction.DEACTIVATE:
            _move_candidate(item, candidate_state, reason, attention, correlation)
        if to == ReclaimState.DONE:
            _write_fact(item)
            _note_seat(item, str(columns.get("license_after", "")))


def _move_candidate(
    item: Reclaim, to: CandidateState, reason: CloseReason | str, attention: str, correlation: uuid.UUID
) -> None:
    """Reclaims only: the candidate of a restore was closed with the reclaim that the restore takes back."""
    candidate = item.removal.candidate
    move(
        candidate,
        allowed=[CandidateState.AWAITING_REVOCATION],
        to=to,
        reason=reason,
        attention=attention,
        action=_CANDIDATE_ACTIONS.get(to, Action.CANDIDATE_CLOSED),
        actor=None,
        correlation=correlation,
    )
    if reason == CloseReason.KEPT_BY_USER:
        terms = Terms.from_json(item.removal.evidence["terms"])
        cool_down([item.subscription_id], days=terms.threshold_for, reason=KEPT_BY_USER)


def _write_fact(item: Reclaim) -> None:
    """Write what was read back into the person's facts."""
    now = database_now()
    values: dict[str, Any] = {"active": spec_for(item.direction).leaves_active, "facts_at": now}
    if item.direction == Direction.REACTIVATE:
        values |= {"cooldown_until": now + RESTORED_COOLDOWN, "cooldown_reason": RESTORED}
    row = Subscription.objects.filter(pk=item.subscription_id)
    keep_replaced(row.select_for_update().get(), {"active": values["active"]}, seen_at=now)
    row.update(**values)
    evaluate_rows(row, current_terms(item.profile_id), few=True)


def _note_seat(item: Reclaim, license: str) -> None:
    """Note for the savings whether this seat was taken once more, or is held again."""
    if item.direction == Direction.DEACTIVATE:
        note_taken_again(item)
    else:
        note_returns(item.profile, at=database_now(), subscription=item.subscription_id, license=license)


def requeue_after_error(profile: IntegrationProfile, item: Reclaim, error: ConnectorError) -> int:
    """Nothing was done for this item: it waits, with the reason shown. Returns 1, or 0 when another process has it."""
    hold = HoldReason.LATER
    wait = RETRY_DELAY
    if isinstance(error, ConfigError):
        connection_state.mark_failed(profile, error)
        hold = HoldReason.CONNECTION
    elif isinstance(error, TransientError) and error.retry_after:
        wait = timedelta(seconds=error.retry_after)
    return requeue(item, hold, wait=wait, message=error.message)


def requeue(item: Reclaim, hold: HoldReason, *, wait: timedelta = RETRY_DELAY, message: str = "") -> int:
    """Put the item back into the queue: nothing was called yet, or the call is known to have done nothing."""
    with transaction.atomic():
        back = Reclaim.objects.filter(pk=item.pk, token=item.token, state=item.state).update(
            state=ReclaimState.QUEUED,
            token=None,
            lease_until=None,
            sending_at=None,
            tries=0,
            hold_reason=hold,
            not_before=database_now() + wait,
            outcome=message,
        )
        if back and item.state == ReclaimState.SENDING:
            record(spec_for(item.direction).requeued, actor=None, target=item, data={"outcome": message})
    return back
