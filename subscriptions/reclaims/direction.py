"""The two directions of the engine: deactivate a person, and activate them again."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from integrations.connectors.contract import Connector, Receipt
from licensehub.audit.actions import Action
from subscriptions.models import Direction, ReclaimState
from subscriptions.reclaims.switches import Operation


@dataclass(frozen=True, slots=True)
class DirectionSpec:
    """The differences between them: the call, what reading back must find, the words, and the audit actions."""

    direction: Direction
    operation: Operation
    send: Callable[[Connector, str], Receipt]
    leaves_active: bool
    noun: str
    verb: str
    found: str
    requested: Action
    queued: Action
    sending: Action
    requeued: Action
    endings: dict[ReclaimState, Action]


RECLAIM = DirectionSpec(
    direction=Direction.DEACTIVATE,
    operation=Operation.SEND,
    send=lambda connector, person: connector.deactivate(person),
    leaves_active=False,
    noun="deactivation",
    verb="deactivate",
    found="inactive",
    requested=Action.REQUEST_OPENED,
    queued=Action.RECLAIM_QUEUED,
    sending=Action.RECLAIM_SENDING,
    requeued=Action.RECLAIM_REQUEUED,
    endings={
        ReclaimState.DONE: Action.RECLAIM_DONE,
        ReclaimState.SKIPPED: Action.RECLAIM_SKIPPED,
        ReclaimState.FAILED: Action.RECLAIM_FAILED,
        ReclaimState.IN_DOUBT: Action.RECLAIM_IN_DOUBT,
    },
)
RESTORE = DirectionSpec(
    direction=Direction.REACTIVATE,
    operation=Operation.RESTORE,
    send=lambda connector, person: connector.reactivate(person),
    leaves_active=True,
    noun="reactivation",
    verb="reactivate",
    found="active",
    requested=Action.RESTORE_REQUESTED,
    queued=Action.RESTORE_QUEUED,
    sending=Action.RESTORE_SENDING,
    requeued=Action.RESTORE_REQUEUED,
    endings={
        ReclaimState.DONE: Action.RESTORE_DONE,
        ReclaimState.SKIPPED: Action.RESTORE_SKIPPED,
        ReclaimState.FAILED: Action.RESTORE_FAILED,
        ReclaimState.IN_DOUBT: Action.RESTORE_IN_DOUBT,
    },
)
SPECS = {spec.direction.value: spec for spec in (RECLAIM, RESTORE)}


def spec_for(direction: str) -> DirectionSpec:
    return SPECS[direction]
