"""Subflow 2, reclaim subscriptions: claim, look again, send, read back, settle.

The database is the queue of record. The intent (`sending`) is committed before the call and the outcome after it;
no vendor call stands inside a transaction. A lost answer is in doubt: it is read first, and never sent blindly again.
"""

from __future__ import annotations

import logging
import time
import uuid
from dataclasses import asdict, dataclass
from datetime import timedelta
from typing import Any

from django.db import transaction
from django.utils import timezone

from integrations import connections, states
from integrations.connectors.contract import (
    ConfigError,
    Connector,
    ConnectorError,
    PermanentError,
    Receipt,
    TransientError,
)
from integrations.models import IntegrationProfile
from licensehub.audit.actions import Action
from licensehub.audit.log import record
from subscriptions.candidates import NotActionable, move
from subscriptions.holds import COME_BACK, hold_due, hold_on, unfit_connections, wait_of
from subscriptions.look_again import Decision, lapsed, look_again, note_change
from subscriptions.models import (
    CandidateState,
    CloseReason,
    HoldReason,
    Reclaim,
    ReclaimState,
    RequestedRemoval,
    Subscription,
    Verdict,
)
from subscriptions.schedules import window_open

logger = logging.getLogger(__name__)

# One claim is worked on within its lease; one task ends well before its time limit.
CLAIM = 20
TASK_SECONDS = 120.0
READS_NEEDED = 2
READ_AGAIN = timedelta(seconds=5)


@dataclass
class Tally:
    """How many items ended how in one call."""

    reclaimed: int = 0
    skipped: int = 0
    refused: int = 0
    held: int = 0
    in_doubt: int = 0

    def as_dict(self) -> dict[str, int]:
        return asdict(self)


# --- The loop ---------------------------------------------------------------------------------------------------------


def reclaim_due(profile: IntegrationProfile, *, seconds: float = TASK_SECONDS) -> Tally:
    """Send what is approved and due, for about `seconds`. May run any number of times at once."""
    tally = Tally()
    if hold := unfit_connections(profile):
        tally.held += hold_due(profile, hold)
        return tally
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        if hold := hold_on(profile):
            tally.held += hold_due(profile, hold)
            break
        items = claim(profile)
        if not items:
            break
        _work_on(profile, items, tally)
    return tally


def claim(profile: IntegrationProfile, *, count: int = CLAIM) -> list[Reclaim]:
    """Take some due items: they are ours while the lease lasts. Empty only when nothing is due."""
    due = Reclaim.objects.due().filter(profile=profile).order_by("queued_at", "pk").values_list("pk", flat=True)
    while chosen := list(due[:count]):
        token = uuid.uuid4()
        taken = Reclaim.objects.filter(pk__in=chosen, state=ReclaimState.QUEUED).update(
            state=ReclaimState.CLAIMED,
            token=token,
            lease_until=timezone.now() + Reclaim.LEASE,
            hold_reason="",
            not_before=None,
        )
        if taken:
            claimed = Reclaim.objects.filter(token=token)
            return list(claimed.select_related("subscription", "removal__request", "removal__candidate"))
    return []


def _work_on(profile: IntegrationProfile, items: list[Reclaim], tally: Tally) -> None:
    try:
        connector = connections.connector_for(profile)
        decisions = look_again(profile, items, connector)
    except ConnectorError as error:
        for item in items:
            _put_back(profile, item, error, tally)
        return
    states.mark_working(profile, profile.connector.download_slot)
    for item in items:
        try:
            _execute(profile, item, decisions[item.pk], connector, tally)
        except NotActionable as error:
            logger.info("%s", error)


def _execute(
    profile: IntegrationProfile, item: Reclaim, decision: Decision, connector: Connector, tally: Tally
) -> None:
    if not decision.send:
        settle_unsent(item, decision)
        tally.refused += decision.state == ReclaimState.FAILED
        tally.skipped += decision.state == ReclaimState.SKIPPED
    elif window_open(profile) and commit_intent(item):
        _send(profile, item, connector, tally)
    else:
        hold = hold_on(profile) or HoldReason.LATER
        tally.held += _let_go(item, hold, wait=wait_of(profile, hold))


# --- One item ---------------------------------------------------------------------------------------------------------


def commit_intent(item: Reclaim) -> bool:
    """The point of no return: `sending`, with its audit event, only while the claim and every switch still hold.

    The switches stand in subqueries of their own. A filter over a join would move the claim into one as well, and
    PostgreSQL does not ask that again after it has waited for another UPDATE of the row.
    """
    now = timezone.now()
    sending = IntegrationProfile.objects.downloading().filter(sending_stopped=False, reclaim_enabled=True)
    valid = RequestedRemoval.objects.standing().filter(request__valid_until__gt=now)
    with transaction.atomic():
        sent = Reclaim.objects.filter(
            pk=item.pk,
            state=ReclaimState.CLAIMED,
            token=item.token,
            lease_until__gt=now,
            profile__in=sending,
            removal__in=valid,
        ).update(state=ReclaimState.SENDING, sending_at=now, lease_until=now + Reclaim.LEASE)
        if sent == 1:
            item.state = ReclaimState.SENDING
            record(
                Action.RECLAIM_SENDING,
                actor=None,
                target=item,
                data={"request": item.removal.request.number, "external_id": item.subscription.external_id},
            )
    return sent == 1


def _send(profile: IntegrationProfile, item: Reclaim, connector: Connector, tally: Tally) -> None:
    try:
        receipt = connector.deactivate(item.subscription.external_id)
    except PermanentError as error:
        _refused(item, error)
        tally.refused += 1
        return
    except (TransientError, ConfigError) as error:
        _put_back(profile, item, error, tally)
        return
    except ConnectorError as error:
        # The answer is lost, or cannot be understood: it may have been done.
        _doubt(item, error.message, status=error.status)
    else:
        states.mark_working(profile, profile.connector.reclaim_slot)
        _note_receipt(item, receipt)
    item.refresh_from_db()
    state = read_back(item, connector)
    tally.reclaimed += state == ReclaimState.DONE
    tally.in_doubt += state == ReclaimState.IN_DOUBT


def _note_receipt(item: Reclaim, receipt: Receipt) -> None:
    Reclaim.objects.filter(pk=item.pk, state=ReclaimState.SENDING, token=item.token).update(
        http_status=receipt.status, request_id=receipt.request_id
    )


def read_back(item: Reclaim, connector: Connector) -> str:
    """Ask Miro what is true now, and settle accordingly. Returns the state that the item has then."""
    try:
        active = connector.is_active(item.subscription.external_id)
    except PermanentError as error:
        _to_a_human(item, f"Miro does not know this person any more: {error.message}", found="unknown")
    except ConnectorError as error:
        _doubt(item, f"Reading back failed: {error.message}", status=item.http_status)
        if isinstance(error, ConfigError):
            states.mark_failed(item.profile, error)
    else:
        if active:
            _still_active(item)
        else:
            _done(item)
    item.refresh_from_db()
    return item.state


def _done(item: Reclaim) -> None:
    late = item.state == ReclaimState.IN_DOUBT
    reason = CloseReason.CONFIRMED_LATER if late else CloseReason.RECLAIMED
    outcome = "Read back as inactive."
    if late:
        outcome = f"The answer was lost; read back as inactive. {item.outcome}".strip()
    _settle(
        item,
        to=ReclaimState.DONE,
        action=Action.RECLAIM_DONE,
        candidate_state=CandidateState.CLOSED_COMPLETE,
        reason=reason,
        values={"outcome": outcome, "read_back": "inactive", "read_back_at": timezone.now()},
    )


def _still_active(item: Reclaim) -> None:
    """Once may be too early, since Miro may still be at it; twice needs a human."""
    if item.reads + 1 < READS_NEEDED:
        words = item.outcome or "Read back as still active."
        _doubt(item, words, status=item.http_status, reads=item.reads + 1)
        return
    _to_a_human(
        item,
        "The deactivation was sent, its effect is unknown, and Miro shows this person as active. LicenseHub does not "
        "send again by itself: somebody may have reactivated them. Look in Miro, then leave or request them again.",
        found="active",
    )


def _doubt(item: Reclaim, words: str, *, status: int | None, reads: int | None = None) -> None:
    """Commit the doubt; the item is read again, a little later. `reads` counts the looks that found it active."""
    now = timezone.now()
    with transaction.atomic():
        doubted = Reclaim.objects.filter(pk=item.pk, token=item.token, state=item.state).update(
            state=ReclaimState.IN_DOUBT,
            outcome=words,
            http_status=status,
            reads=item.reads if reads is None else reads,
            not_before=now + READ_AGAIN,
        )
        if doubted and item.state == ReclaimState.SENDING:
            record(Action.RECLAIM_IN_DOUBT, actor=None, target=item, data={"outcome": words})


def _to_a_human(item: Reclaim, words: str, *, found: str) -> None:
    _settle(
        item,
        to=ReclaimState.IN_DOUBT,
        action=Action.RECLAIM_IN_DOUBT,
        candidate_state=CandidateState.ATTENTION_REQUIRED,
        attention=words,
        values={"outcome": words, "read_back": found, "read_back_at": timezone.now()},
    )


def _refused(item: Reclaim, error: PermanentError) -> None:
    words = f"Miro refused: {error.message}"
    _settle(
        item,
        to=ReclaimState.FAILED,
        action=Action.RECLAIM_FAILED,
        candidate_state=CandidateState.ATTENTION_REQUIRED,
        attention=words,
        values={"outcome": words, "http_status": error.status},
    )


def settle_unsent(item: Reclaim, decision: Decision) -> None:
    """Final reasons end an item before anything was sent."""
    failed = decision.state == ReclaimState.FAILED
    _settle(
        item,
        to=decision.state,
        action=Action.RECLAIM_FAILED if failed else Action.RECLAIM_SKIPPED,
        candidate_state=decision.candidate_state,
        reason=decision.close_reason or "",
        attention=decision.sentence if failed else "",
        values={"outcome": decision.sentence},
    )


def settle_lapsed(item: Reclaim) -> None:
    settle_unsent(item, lapsed())


_CANDIDATE_ACTIONS = {
    CandidateState.READY: Action.CANDIDATE_RETURNED,
    CandidateState.ATTENTION_REQUIRED: Action.CANDIDATE_NEEDS_ATTENTION,
}


def _settle(
    item: Reclaim,
    *,
    to: ReclaimState,
    action: Action,
    candidate_state: CandidateState,
    values: dict[str, Any],
    reason: CloseReason | str = "",
    attention: str = "",
) -> None:
    """End an item: its row, its candidate, the fact, and the audit, in one transaction; only from where it stood."""
    now = timezone.now()
    with transaction.atomic():
        settled = Reclaim.objects.filter(pk=item.pk, state=item.state, token=item.token).update(
            **{"state": to, "finished_at": now, "lease_until": None, "hold_reason": "", **values}
        )
        if settled != 1:
            raise NotActionable(f"The reclaim of {item} was settled by another process.")
        correlation = uuid.uuid4()
        data = {"outcome": values["outcome"], "request": item.removal.request.number}
        record(action, actor=None, target=item, data=data, correlation=correlation)
        move(
            item.removal.candidate,
            allowed=[CandidateState.AWAITING_REVOCATION],
            to=candidate_state,
            reason=reason,
            attention=attention,
            action=_CANDIDATE_ACTIONS.get(candidate_state, Action.CANDIDATE_CLOSED),
            actor=None,
            correlation=correlation,
        )
        if to == ReclaimState.DONE:
            _write_inactive(item)


def _write_inactive(item: Reclaim) -> None:
    """What was read back is a fact like any other."""
    now = timezone.now()
    Subscription.objects.filter(pk=item.subscription_id).update(
        active=False, facts_at=now, verdict=Verdict.DEACTIVATED, verdict_at=now
    )
    note_change(item.subscription_id)


def _put_back(profile: IntegrationProfile, item: Reclaim, error: ConnectorError, tally: Tally) -> None:
    """Nothing was done for this item: it waits, with the reason shown."""
    hold = HoldReason.LATER
    wait = COME_BACK
    if isinstance(error, ConfigError):
        states.mark_failed(profile, error)
        hold = HoldReason.CONNECTION
    elif isinstance(error, TransientError) and error.retry_after:
        wait = timedelta(seconds=error.retry_after)
    tally.held += _let_go(item, hold, wait=wait, words=error.message)


def _let_go(item: Reclaim, hold: HoldReason, *, wait: timedelta = COME_BACK, words: str = "") -> int:
    """Back into the queue, from before the call or from a call that is known to have done nothing."""
    with transaction.atomic():
        put_back = Reclaim.objects.filter(pk=item.pk, token=item.token, state=item.state).update(
            state=ReclaimState.QUEUED,
            token=None,
            lease_until=None,
            sending_at=None,
            hold_reason=hold,
            not_before=timezone.now() + wait,
            outcome=words,
        )
        if put_back and item.state == ReclaimState.SENDING:
            record(Action.RECLAIM_PUT_BACK, actor=None, target=item, data={"outcome": words})
    return put_back
