"""Subflow 2, reclaim subscriptions: claim, look again, send, read back, settle. Restores go the same way.

The database is the queue of record. The intent (`sending`) is committed before the call and the outcome after it;
no vendor call stands inside a transaction. How a send ends stands in `settling`.
"""

from __future__ import annotations

import logging
import time
import uuid
from dataclasses import asdict, dataclass

from django.db import transaction
from django.db.models import Exists, QuerySet
from django.utils import timezone

from integrations import connection_state, credential_store
from integrations.connectors.contract import ConfigError, Connector, ConnectorError, PermanentError, TransientError
from integrations.models import IntegrationProfile
from licensehub.audit.log import record
from subscriptions.candidates import caps, locks
from subscriptions.errors import NotActionable
from subscriptions.models import Direction, HoldReason, Reclaim, ReclaimState, RequestedRemoval
from subscriptions.reclaims.direction import RECLAIM, RESTORE, DirectionSpec, spec_for
from subscriptions.reclaims.holds import hold_due_items, item_hold, profile_hold, unfit_connections, wait_for
from subscriptions.reclaims.outcomes import (
    mark_in_doubt,
    mark_refused,
    mark_unsent,
    note_receipt,
    read_back,
    requeue,
    requeue_after_error,
)
from subscriptions.reclaims.recheck import Decision, recheck
from subscriptions.reclaims.switches import control_allowing, profiles_allowing

logger = logging.getLogger(__name__)

# One claim is worked on within its lease; one task ends well before its time limit.
CLAIM = 20
TASK_SECONDS = 120.0


@dataclass
class Tally:
    """How many items ended how in one call."""

    reclaimed: int = 0
    restored: int = 0
    skipped: int = 0
    refused: int = 0
    held: int = 0
    in_doubt: int = 0

    def as_dict(self) -> dict[str, int]:
        return asdict(self)


# --- The loop ---------------------------------------------------------------------------------------------------------


def reclaim_due(profile: IntegrationProfile, *, seconds: float = TASK_SECONDS) -> Tally:
    """Send what is approved and due, for about `seconds`; restores first. May run any number of times at once."""
    tally = Tally()
    until = time.monotonic() + seconds
    for way in (RESTORE, RECLAIM):
        _send_due(profile, way, tally, until)
    return tally


def _send_due(profile: IntegrationProfile, way: DirectionSpec, tally: Tally, until: float) -> None:
    if hold := unfit_connections(profile, way.direction):
        tally.held += hold_due_items(profile, hold, way.direction)
        return
    while time.monotonic() < until:
        if hold := profile_hold(profile, way.direction):
            tally.held += hold_due_items(profile, hold, way.direction)
            return
        items = claim(profile, direction=way.direction)
        if not items:
            return
        _work_on(profile, items, tally)


def claim(profile: IntegrationProfile, *, count: int = CLAIM, direction: str = Direction.DEACTIVATE) -> list[Reclaim]:
    """Take some due items: they are ours while the lease lasts. Empty only when nothing is due."""
    due = Reclaim.objects.due().filter(profile=profile, direction=direction)
    oldest = due.order_by("queued_at", "pk").values_list("pk", flat=True)
    while chosen := list(oldest[:count]):
        token = uuid.uuid4()
        taken = Reclaim.objects.filter(pk__in=chosen, state=ReclaimState.QUEUED).update(
            state=ReclaimState.CLAIMED,
            token=token,
            lease_until=timezone.now() + Reclaim.LEASE,
            hold_reason="",
            not_before=None,
        )
        if taken:
            claimed = Reclaim.objects.filter(token=token).order_by("queued_at", "pk")
            return list(claimed.select_related("subscription", "removal__request", "removal__candidate"))
    return []


def _work_on(profile: IntegrationProfile, items: list[Reclaim], tally: Tally) -> None:
    try:
        connector = credential_store.connector_for(profile)
        decisions = recheck(profile, items, connector)
    except ConnectorError as error:
        tally.held += sum(requeue_after_error(profile, item, error) for item in items)
        return
    connection_state.mark_working(profile, profile.connector.download_slot)
    rolling = caps.caps_of(profile).rolling
    for item in items:
        try:
            _execute(profile, item, decisions[item.pk], connector, tally, rolling=rolling)
        except NotActionable as error:
            logger.info("%s", error)


def _execute(
    profile: IntegrationProfile,
    item: Reclaim,
    decision: Decision,
    connector: Connector,
    tally: Tally,
    *,
    rolling: int,
) -> None:
    if not decision.send:
        mark_unsent(item, decision)
        tally.refused += decision.state == ReclaimState.FAILED
        tally.skipped += decision.state == ReclaimState.SKIPPED
        return
    try:
        # Before the intent: no switch is overlooked while it waits, and whoever dies waiting leaves no doubt behind.
        connector.await_turn()
    except ConnectorError as error:
        tally.held += requeue_after_error(profile, item, error)
        return
    if commit_intent(item, rolling=rolling):
        _send(profile, item, connector, tally)
    else:
        hold = profile_hold(profile, item.direction) or item_hold(profile, item, rolling=rolling) or HoldReason.LATER
        tally.held += requeue(item, hold, wait=wait_for(profile, hold))


# --- The point of no return -------------------------------------------------------------------------------------------


def commit_intent(item: Reclaim, *, rolling: int) -> bool:
    """`sending`, with its audit event, only while the claim, every switch, the window and the caps still allow it.

    The switches are subqueries of their own. A filter over a join would move the claim into a subquery as well, and
    after waiting for a lock PostgreSQL checks only the outer WHERE again: see ADR 15.
    """
    now = timezone.now()
    operation = spec_for(item.direction).operation
    with transaction.atomic():
        profile = locks.lock_profile(item.profile_id)
        # Counted while the profile's row is ours: no other process counts at the same time.
        if item_hold(profile, item, rolling=rolling):
            return False
        sent = Reclaim.objects.filter(
            Exists(control_allowing(operation)),
            pk=item.pk,
            state=ReclaimState.CLAIMED,
            token=item.token,
            lease_until__gt=now,
            profile__in=profiles_allowing(operation),
            removal__in=_valid_removals(),
        ).update(state=ReclaimState.SENDING, sending_at=now, lease_until=now + Reclaim.LEASE, outcome="")
        if sent == 1:
            item.state = ReclaimState.SENDING
            data = {"request": item.removal.request.number, "external_id": item.subscription.external_id}
            record(spec_for(item.direction).sending, actor=None, target=item, data=data)
    return sent == 1


def _valid_removals() -> QuerySet[RequestedRemoval]:
    """Approved, still good, and nobody has said *Keep* since."""
    standing = RequestedRemoval.objects.standing().without_late_keep()
    return standing.filter(request__valid_until__gt=timezone.now())


def _send(profile: IntegrationProfile, item: Reclaim, connector: Connector, tally: Tally) -> None:
    try:
        receipt = spec_for(item.direction).send(connector, item.subscription.external_id)
    except PermanentError as error:
        mark_refused(item, error)
        tally.refused += 1
        return
    except (TransientError, ConfigError) as error:
        tally.held += requeue_after_error(profile, item, error)
        return
    except ConnectorError as error:
        # The answer is lost, or cannot be understood: it may have been done.
        mark_in_doubt(item, error.message, status=error.status)
    else:
        connection_state.mark_working(profile, profile.connector.reclaim_slot)
        note_receipt(item, receipt)
    item.refresh_from_db()
    state = read_back(item, connector)
    tally.reclaimed += state == ReclaimState.DONE and item.direction == Direction.DEACTIVATE
    tally.restored += state == ReclaimState.DONE and item.direction == Direction.REACTIVATE
    tally.in_doubt += state == ReclaimState.IN_DOUBT
