"""Subflow 2, reclaim subscriptions: claim, recheck, send, read back, finish. Restores take the same steps.

The database is the queue of record. The intent (`sending`) is committed before the call and the outcome after it;
no vendor call is made inside a transaction. How a send ends is in `outcomes`.
"""

from __future__ import annotations

import logging
import uuid
from dataclasses import asdict, dataclass
from enum import StrEnum

from django.db import transaction
from django.db.models import Exists, Q

from integrations.connections import connection_state
from integrations.connectors.contract import ConfigError, Connector, ConnectorError, PermanentError, TransientError
from integrations.credentials import credential_store
from integrations.models import IntegrationProfile
from licensehub import stopping
from licensehub.audit.log import record
from licensehub.database.clock import database_now
from licensehub.logs import log_context
from subscriptions.candidates import caps, locks
from subscriptions.errors import NotActionable
from subscriptions.models import (
    Direction,
    HoldReason,
    Protection,
    Reclaim,
    ReclaimState,
    Subscription,
)
from subscriptions.reclaims import lost_answers
from subscriptions.reclaims.direction import spec_for
from subscriptions.reclaims.holds import (
    due_items,
    hold_due_items,
    item_hold,
    profile_hold,
    try_connections,
    wait_for,
)
from subscriptions.reclaims.outcomes import (
    mark_in_doubt,
    mark_refused,
    mark_tampered,
    mark_unsent,
    note_receipt,
    read_back,
    requeue,
    requeue_after_error,
)
from subscriptions.reclaims.recheck import Decision, recheck
from subscriptions.reclaims.signed.state import Tampered, refuse_hidden_protection, signed_or_tampered
from subscriptions.reclaims.switches import control_allowing, profiles_allowing
from subscriptions.turns import Turn

logger = logging.getLogger(__name__)

# The items of one claim are done within its lease. A task ends well before its time limit: the last item that it begins
# may wait for its turn, be sent and be read back, and each of these may take the whole time of one call.
CLAIM = 20
TASK_SECONDS = 90.0


class Ending(StrEnum):
    """The ending of one item in one call. The names are those of `Tally`."""

    RECLAIMED = "reclaimed"
    RESTORED = "restored"
    SKIPPED = "skipped"
    REFUSED = "refused"
    TAMPERED = "tampered"
    HELD = "held"
    IN_DOUBT = "in_doubt"


@dataclass
class Tally:
    """The number of items that ended in each way in one call."""

    reclaimed: int = 0
    restored: int = 0
    skipped: int = 0
    refused: int = 0
    tampered: int = 0
    held: int = 0
    in_doubt: int = 0

    def add(self, ending: Ending | None, count: int = 1) -> None:
        """Count it. None stands for an item that another process took over."""
        if ending:
            setattr(self, ending, getattr(self, ending) + count)

    def as_dict(self) -> dict[str, int]:
        return asdict(self)


@dataclass(frozen=True, slots=True)
class _Batch:
    """The values that the items of one claim share."""

    profile: IntegrationProfile
    connector: Connector
    rolling: int


# --- The loop ---------------------------------------------------------------------------------------------------------


def reclaim_due(profile: IntegrationProfile, *, turn: Turn | None = None) -> Tally:
    """Send what is approved and due, until the turn is over; restores first. Several processes may run it at once."""
    tally, turn = Tally(), turn or Turn(TASK_SECONDS)
    for direction in (Direction.REACTIVATE, Direction.DEACTIVATE):
        if due_items(profile, direction).exists():
            _send_due(profile, direction, tally, turn)
    return tally


def _send_due(profile: IntegrationProfile, direction: Direction, tally: Tally, turn: Turn) -> None:
    """Claim and send batch after batch, until a switch holds them. The connections are tried before the first batch.

    The switches are read before and after that: the calls may take minutes, and somebody may stop sending meanwhile.
    """
    hold = profile_hold(profile, direction) or try_connections(profile, direction)
    while not hold and not stopping.is_requested():
        if hold := profile_hold(profile, direction):
            break
        items = claim(profile, direction=direction)
        if not items:
            return
        _work_on(profile, items, tally, turn)
        # Asked after the batch: also a turn that began late sends something.
        if turn.is_over():
            return
    if hold:
        tally.add(Ending.HELD, hold_due_items(profile, hold, direction))


def claim(profile: IntegrationProfile, *, count: int = CLAIM, direction: str = Direction.DEACTIVATE) -> list[Reclaim]:
    """Claim some due items; they are ours while the lease lasts. Returns none only when nothing is due.

    An item whose last worker ended or failed before the send is claimed after the others and alone, since it may be
    the reason: then it holds up nobody else.
    """
    due = Reclaim.objects.due().filter(profile=profile, direction=direction).values_list("pk", flat=True)
    oldest, again = due.filter(tries=0).order_by("queued_at", "pk"), due.filter(tries__gt=0)
    while chosen := list(oldest[:count]) or list(again.order_by("tries", "queued_at", "pk")[:1]):
        token = uuid.uuid4()
        taken = Reclaim.objects.filter(pk__in=chosen, state=ReclaimState.QUEUED).update(
            state=ReclaimState.CLAIMED,
            token=token,
            lease_until=database_now() + Reclaim.LEASE,
            hold_reason="",
            not_before=None,
        )
        if taken:
            claimed = Reclaim.objects.filter(token=token).order_by("queued_at", "pk")
            return list(claimed.select_related("subscription", "removal__request", "removal__candidate"))
    return []


def _work_on(profile: IntegrationProfile, items: list[Reclaim], tally: Tally, turn: Turn) -> None:
    try:
        connector = credential_store.connector_for(profile)
        decisions = recheck(profile, items, connector)
    except ConnectorError as error:
        tally.add(Ending.HELD, sum(requeue_after_error(profile, item, error) for item in items))
        return
    connection_state.mark_working(profile, profile.connector.download_slot)
    batch = _Batch(profile, connector, rolling=caps.caps_of(profile).rolling)
    for number, item in enumerate(items):
        if stopping.is_requested() or (number and turn.is_over()):
            # The others were not sent. The next task can claim them again before the lease ends.
            mine = Reclaim.objects.filter(profile=profile, token=item.token, state=ReclaimState.CLAIMED)
            mine.update(state=ReclaimState.QUEUED, token=None, lease_until=None)
            return
        try:
            with log_context.bound(reclaim=item.pk):
                tally.add(_execute(batch, item, decisions[item.pk]))
        except NotActionable as error:
            logger.info("%s", error)


def _execute(batch: _Batch, item: Reclaim, decision: Decision) -> Ending | None:
    """End the item unsent, put it back into the queue, or send it. Returns None when another process took it over."""
    if decision.state == ReclaimState.TAMPERED:
        mark_tampered(item, decision.sentence)
        return Ending.TAMPERED
    if not decision.send:
        mark_unsent(item, decision)
        return Ending.SKIPPED
    try:
        # The vendor's limit is waited for before the intent is committed. So a switch that changes during the wait
        # still counts, and a worker that dies during the wait leaves no item in doubt.
        batch.connector.await_turn()
    except ConnectorError as error:
        return _held(requeue_after_error(batch.profile, item, error))
    try:
        if commit_intent(item, rolling=batch.rolling):
            return _send(batch, item)
    except Tampered as error:
        mark_tampered(item, str(error))
        return Ending.TAMPERED
    hold = profile_hold(batch.profile, item.direction) or item_hold(batch.profile, item, rolling=batch.rolling)
    hold = hold or HoldReason.LATER
    return _held(requeue(item, hold, wait=wait_for(batch.profile, hold)))


def _held(requeued: int) -> Ending | None:
    return Ending.HELD if requeued else None


# --- The point of no return -------------------------------------------------------------------------------------------


def commit_intent(item: Reclaim, *, rolling: int) -> bool:
    """Commit `sending`, with its audit event, if the claim, every switch, the window and the caps still allow it.

    The rows must be those of the newest signed events. Raises Tampered if they are not.

    The switches are subqueries of their own. A filter over a join would move the claim into a subquery as well, and
    after waiting for a lock PostgreSQL checks only the outer WHERE again: see ADR 15.
    """
    now = database_now()
    operation = spec_for(item.direction).operation
    with transaction.atomic():
        profile = locks.lock_profile(item.profile_id)
        # The caps are counted while the profile's row is locked, so no other process counts at the same time.
        if item_hold(profile, item, rolling=rolling):
            return False
        # Answers, bounces and switches are written under the same lock, each with its event.
        signed = signed_or_tampered(item)
        if signed.hold:
            return False
        refuse_hidden_protection(item)
        # The person is still in the request, has not said *Keep* since, and was reached; the approval is still valid.
        people = signed.rows(item)
        # A protection is made under the same lock, perhaps after the recheck.
        protected = Subscription.objects.filter(Protection.objects.covers_row(), pk=item.subscription_id)
        unprotected = Q() if item.direction == Direction.REACTIVATE else ~Exists(protected)
        sent = Reclaim.objects.filter(
            unprotected,
            Exists(control_allowing(operation)),
            pk=item.pk,
            state=ReclaimState.CLAIMED,
            token=item.token,
            lease_until__gt=now,
            profile__in=profiles_allowing(operation),
            removal__in=people.filter(request__valid_until__gt=database_now()),
        ).update(state=ReclaimState.SENDING, sending_at=now, lease_until=now + Reclaim.LEASE, outcome="")
        if sent != 1 and (sentence := signed.difference(item)):
            raise Tampered(sentence)
        if sent == 1:
            lost_answers.begin_try(profile, item, now=now)
            item.state = ReclaimState.SENDING
            data = {"request": item.removal.request.number, "external_id": item.subscription.external_id}
            record(spec_for(item.direction).sending, actor=None, target=item, data=data)
    return sent == 1


def _send(batch: _Batch, item: Reclaim) -> Ending | None:
    """Make the call, write down its outcome, and read back what is true now."""
    try:
        receipt = spec_for(item.direction).send(batch.connector, item.subscription.external_id)
    except PermanentError as error:
        lost_answers.note_answer(item)
        mark_refused(item, error)
        return Ending.REFUSED
    except (TransientError, ConfigError) as error:
        return _held(requeue_after_error(batch.profile, item, error))
    except ConnectorError as error:
        # The answer is lost, or nobody can understand it: the vendor may have done it.
        mark_in_doubt(item, error.message, status=error.status)
        lost = True
    else:
        lost = False
        connection_state.mark_working(batch.profile, batch.profile.connector.reclaim_slot)
        note_receipt(item, receipt)
        lost_answers.note_answer(item)
    item.refresh_from_db()
    state = read_back(item, batch.connector)
    if lost and state == ReclaimState.IN_DOUBT:
        lost_answers.note_lost(item)
    if state == ReclaimState.DONE:
        if lost:
            lost_answers.note_answer(item)
        return Ending.RECLAIMED if item.direction == Direction.DEACTIVATE else Ending.RESTORED
    return Ending.IN_DOUBT if state == ReclaimState.IN_DOUBT else None
