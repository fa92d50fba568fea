"""The two directions of the engine: deactivate a person, and activate them again."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from django.utils.functional import Promise
from django.utils.translation import gettext_lazy

from integrations.connectors.contract import Connector, Receipt, english
from licensehub.audit.actions import Action
from subscriptions.models import Direction, ReclaimState
from subscriptions.reclaims.switches import Operation


@dataclass(frozen=True, slots=True)
class DirectionSpec:
    """The differences between the directions: the call, the state to read back, stored sentences, and audit actions."""

    direction: Direction
    operation: Operation
    send: Callable[[Connector, str], Receipt]
    leaves_active: bool
    would: str | Promise
    found: str
    read_as: str
    answer_lost: str
    still: str
    no_effect: str
    finished_elsewhere: str
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
    would=gettext_lazy("Would deactivate"),
    found="inactive",
    read_as=english("Read back as inactive."),
    answer_lost=english("The answer was lost; read back as inactive. {before}"),
    still=english("Read back as still active."),
    no_effect=english(
        "The deactivation was sent, its effect is unknown, and {vendor} shows this person as active. LicenseHub "
        "does not send again by itself: somebody may have changed it in between. Look in {vendor}, then leave this "
        "person, or send again."
    ),
    finished_elsewhere="The deactivation of {person} was finished by another process.",
    requested=Action.REQUEST_OPENED,
    queued=Action.RECLAIM_QUEUED,
    sending=Action.RECLAIM_SENDING,
    requeued=Action.RECLAIM_REQUEUED,
    endings={
        ReclaimState.DONE: Action.RECLAIM_DONE,
        ReclaimState.SKIPPED: Action.RECLAIM_SKIPPED,
        ReclaimState.FAILED: Action.RECLAIM_FAILED,
        ReclaimState.IN_DOUBT: Action.RECLAIM_IN_DOUBT,
        ReclaimState.TAMPERED: Action.RECLAIM_TAMPERED,
    },
)
RESTORE = DirectionSpec(
    direction=Direction.REACTIVATE,
    operation=Operation.RESTORE,
    send=lambda connector, person: connector.reactivate(person),
    leaves_active=True,
    would=gettext_lazy("Would reactivate"),
    found="active",
    read_as=english("Read back as active."),
    answer_lost=english("The answer was lost; read back as active. {before}"),
    still=english("Read back as still inactive."),
    no_effect=english(
        "The reactivation was sent, its effect is unknown, and {vendor} shows this person as inactive. LicenseHub "
        "does not send again by itself: somebody may have changed it in between. Look in {vendor}, then restore "
        "again if it is still wanted."
    ),
    finished_elsewhere="The reactivation of {person} was finished by another process.",
    requested=Action.RESTORE_REQUESTED,
    queued=Action.RESTORE_QUEUED,
    sending=Action.RESTORE_SENDING,
    requeued=Action.RESTORE_REQUEUED,
    endings={
        ReclaimState.DONE: Action.RESTORE_DONE,
        ReclaimState.SKIPPED: Action.RESTORE_SKIPPED,
        ReclaimState.FAILED: Action.RESTORE_FAILED,
        ReclaimState.IN_DOUBT: Action.RESTORE_IN_DOUBT,
        ReclaimState.TAMPERED: Action.RESTORE_TAMPERED,
    },
)
SPECS = {spec.direction.value: spec for spec in (RECLAIM, RESTORE)}


def spec_for(direction: str) -> DirectionSpec:
    return SPECS[direction]
