"""The switches that stop a send, as the audit has them: each is on or off by its newest signed event.

A switch that is off in its row and on by its event counts as on: somebody has switched it off in the database. To
switch it on and off again on its page ends that.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from django.db.models import Model

from integrations.models import IntegrationProfile, SendingControl
from licensehub.audit.actions import Action
from licensehub.audit.chain.signed import NotSigned, newest_signed
from licensehub.audit.models import AuditEvent
from subscriptions.models import HoldReason
from subscriptions.reclaims.switches import Operation


@dataclass(frozen=True, slots=True)
class SignedSwitch:
    """`events`: the actions that switch it, and whether it is on after each. `holds`: the operations that wait then."""

    model: type[Model]
    events: Mapping[Action, bool]
    hold: HoldReason
    holds: frozenset[Operation]
    # Only events with this name in their details; its value says whether the switch is off.
    detail: str = ""

    def is_on_by(self, event: AuditEvent) -> bool:
        return not event.data.get(self.detail) if self.detail else self.events[Action(event.action)]


_SEND = frozenset({Operation.SEND})
_BOTH = frozenset({Operation.SEND, Operation.RESTORE})
SIGNED_SWITCHES = (
    SignedSwitch(
        IntegrationProfile,
        {Action.SENDING_STOPPED: True, Action.SENDING_ALLOWED: False},
        HoldReason.SENDING_STOPPED,
        _SEND,
    ),
    SignedSwitch(
        SendingControl,
        {Action.ALL_SENDING_STOPPED: True, Action.ALL_SENDING_ALLOWED: False},
        HoldReason.SENDING_STOPPED,
        _SEND,
    ),
    SignedSwitch(
        IntegrationProfile,
        {
            Action.PROFILE_CREATED: True,
            Action.PROFILE_PUBLISHED: False,
            Action.PROFILE_PAUSED: True,
            Action.PROFILE_RESUMED: False,
            Action.PROFILE_ARCHIVED: True,
        },
        HoldReason.PAUSED,
        _SEND,
    ),
    SignedSwitch(
        IntegrationProfile,
        {
            Action.PROFILE_CREATED: True,
            Action.PROFILE_PUBLISHED: False,
            Action.PROFILE_ARCHIVED: True,
        },
        HoldReason.PAUSED,
        frozenset({Operation.RESTORE}),
    ),
    SignedSwitch(
        IntegrationProfile,
        {Action.PROFILE_CHANGED: True},
        HoldReason.RECLAIM_OFF,
        _SEND,
        detail="reclaim_enabled",
    ),
    SignedSwitch(
        SendingControl,
        {Action.SENDING_HELD: True, Action.SENDING_RELEASED: False},
        HoldReason.BACKUP,
        _BOTH,
    ),
    SignedSwitch(
        IntegrationProfile,
        {Action.PROFILE_HELD: True, Action.PROFILE_HOLD_RELEASED: False},
        HoldReason.TAMPERED,
        _SEND,
    ),
)
SWITCH_ACTIONS = frozenset(action for switch in SIGNED_SWITCHES for action in switch.events)


def hold_by(events: Iterable[AuditEvent], operation: Operation) -> HoldReason | None:
    """Return why these events of one profile and of all sending hold this operation; None when they do not."""
    found = list(events)
    return next((one.hold for one in SIGNED_SWITCHES if operation in one.holds and is_on(one, found)), None)


def is_on(switch: SignedSwitch, events: Iterable[AuditEvent]) -> bool:
    """Return whether the newest event turns this switch on, or is not ours. Without an event the switch is off."""
    label = switch.model._meta.label_lower
    mine = [event for event in events if event.target_type == label and event.action in switch.events]
    try:
        if switch.detail:
            # The text of an event says which switch it is about. So each one is checked before it is left out.
            for event in mine:
                newest_signed([event])
            # A text that was erased may be about this switch.
            mine = [event for event in mine if switch.detail in event.data or not event.data]
        newest = newest_signed(mine)
    except NotSigned:
        return True
    return newest is not None and switch.is_on_by(newest)


def signed_hold(profile: IntegrationProfile, operation: Operation) -> HoldReason | None:
    """Return why the audit alone makes this operation of the profile wait; None when it does not wait."""
    events = AuditEvent.objects.filter(action__in=SWITCH_ACTIONS)
    mine = events.filter(target_type=IntegrationProfile._meta.label_lower, target_id=profile.pk)
    all_sending = events.filter(target_type=SendingControl._meta.label_lower, target_id=1)
    return hold_by([*mine, *all_sending], operation)
