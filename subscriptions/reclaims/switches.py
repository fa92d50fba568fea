"""Which switch stops what: one table, read by Python (the reason) and by SQL (the guard of an UPDATE).

Rows are switches, columns are operations. docs/switches.md is made of this table; a test compares the two.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from django.db.models import Q, QuerySet
from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from integrations import sending
from integrations.connections import connection_state
from integrations.models import IntegrationProfile, ProfileState, SendingControl
from licensehub.database import clock
from licensehub.database.clock import database_now
from licensehub.translations.stored import in_english
from licensehub.ui.formatting import inside
from subscriptions.errors import Refused
from subscriptions.models import HoldReason
from subscriptions.reclaims import backup_guard


class Operation(StrEnum):
    """An operation that a switch can stop: a column of the table."""

    DOWNLOAD = "download by schedule"
    DOWNLOAD_BY_HAND = "download by hand"
    PROPOSE = "propose"
    ASK = "ask by mail"
    REQUEST = "request"
    APPROVE = "approve"
    SEND = "send"
    RESTORE = "restore"


@dataclass(frozen=True, slots=True)
class Effect:
    """The effect of a switch on one operation: a person is refused with a sentence, and what is queued waits."""

    refusal: Callable[[IntegrationProfile], str] | None = None
    hold: HoldReason | None = None


@dataclass(frozen=True, slots=True)
class Switch:
    """A row of the table. An operation that has no effect in it goes on.

    `state`, `profile_off` and `control_off` are for SQL. `state` is the profile's state in which the switch is on. The
    other two make the condition of the profile's row, and of the one row of SendingControl, in which it is off.
    `note` is the text of a disabled button.
    """

    name: str
    is_on: Callable[[IntegrationProfile], bool]
    effects: Mapping[Operation, Effect]
    note: str | Promise = ""
    state: ProfileState | None = None
    profile_off: Callable[[], Q] = Q
    control_off: Callable[[], Q] = Q


# --- The sentences ----------------------------------------------------------------------------------------------------


def _state(profile: IntegrationProfile) -> str:
    return inside(profile.get_state_display())


def _no_download(profile: IntegrationProfile) -> str:
    return _("“{profile}” is {state}, so nothing is downloaded. Publish it first.").format(
        profile=profile, state=_state(profile)
    )


def _no_proposal(profile: IntegrationProfile) -> str:
    return _("The profile is {state}.").format(state=_state(profile))


def _no_decision(profile: IntegrationProfile) -> str:
    return _("“{profile}” is {state}. Publish it before you request or approve.").format(
        profile=profile, state=_state(profile)
    )


def _no_restore(profile: IntegrationProfile) -> str:
    return _(
        "“{profile}” is {state}, so LicenseHub sends nothing for it, restores included. A "
        "company admin can activate this person in {vendor}."
    ).format(profile=profile, state=_state(profile), vendor=profile.vendor)


def _reclaim_off(profile: IntegrationProfile) -> str:
    return _("Reclaim subscriptions is switched off for “{profile}”. Switch it on in the profile first.").format(
        profile=profile
    )


def _broken_download(profile: IntegrationProfile) -> str:
    """Empty while the connection that downloads works. A person may try it, and it is repaired if it works."""
    for connection in connection_state.broken_connections(profile):
        if connection.slot == profile.connector.download_slot:
            return _("{connection} is in error: {error} After that, run the download by hand.").format(
                connection=connection, error=connection.error
            )
    return ""


def _is_coming(moment: datetime | None) -> bool:
    return moment is not None and moment > database_now()


# --- The table --------------------------------------------------------------------------------------------------------


def _in_state(state: ProfileState, effects: Mapping[Operation, Effect], note: str | Promise) -> Switch:
    name = f"Profile is {in_english(state.label)}"
    return Switch(name, lambda profile: ProfileState(profile.state) == state, effects, note, state=state)


_PAUSED = {
    Operation.DOWNLOAD: Effect(_no_download),
    Operation.DOWNLOAD_BY_HAND: Effect(_no_download),
    Operation.PROPOSE: Effect(_no_proposal),
    Operation.ASK: Effect(),
    Operation.REQUEST: Effect(_no_decision),
    Operation.APPROVE: Effect(_no_decision),
    Operation.SEND: Effect(hold=HoldReason.PAUSED),
}
_NOT_IN_USE = {**_PAUSED, Operation.RESTORE: Effect(_no_restore, HoldReason.PAUSED)}

# Where several switches are on, the first one gives the reason.
# A restore helps a person who is locked out and waits, so few switches stop it.
TABLE = (
    Switch(
        "Sending is stopped for the profile",
        lambda profile: profile.sending_stopped,
        {Operation.SEND: Effect(hold=HoldReason.SENDING_STOPPED)},
        note=gettext_lazy("Sending is stopped."),
        profile_off=lambda: Q(sending_stopped=False),
    ),
    Switch(
        "All sending is stopped",
        lambda profile: sending.control().stopped,
        {Operation.SEND: Effect(hold=HoldReason.SENDING_STOPPED)},
        control_off=lambda: Q(stopped=False),
    ),
    _in_state(ProfileState.DRAFT, _NOT_IN_USE, gettext_lazy("Publish the profile first.")),
    _in_state(ProfileState.PAUSED, _PAUSED, gettext_lazy("The profile is paused.")),
    _in_state(ProfileState.ARCHIVED, _NOT_IN_USE, gettext_lazy("The profile is archived.")),
    Switch(
        "Reclaim subscriptions is off",
        lambda profile: not profile.reclaim_enabled,
        {
            Operation.REQUEST: Effect(_reclaim_off),
            Operation.APPROVE: Effect(_reclaim_off),
            Operation.SEND: Effect(hold=HoldReason.RECLAIM_OFF),
        },
        note=gettext_lazy("Reclaim subscriptions is switched off."),
        profile_off=lambda: Q(reclaim_enabled=True),
    ),
    Switch(
        "Held: this may be a restored backup",
        lambda profile: backup_guard.is_held(),
        {
            Operation.ASK: Effect(),
            Operation.SEND: Effect(hold=HoldReason.BACKUP),
            Operation.RESTORE: Effect(hold=HoldReason.BACKUP),
        },
        control_off=lambda: Q(held_at=None),
    ),
    # Only the host with the wrong clock waits. The others go on, and the guard of a send need not know about it.
    Switch(
        "The clock of the host differs from the one of the database by more than 30 seconds",
        lambda profile: clock.is_too_far(),
        {
            Operation.ASK: Effect(),
            Operation.SEND: Effect(hold=HoldReason.CLOCK),
            Operation.RESTORE: Effect(hold=HoldReason.CLOCK),
        },
    ),
    Switch(
        "Held: something was changed outside of LicenseHub",
        lambda profile: profile.held_at is not None,
        {
            Operation.ASK: Effect(),
            Operation.SEND: Effect(hold=HoldReason.TAMPERED),
        },
        note=gettext_lazy("Held: something was changed outside of LicenseHub."),
        profile_off=lambda: Q(held_at=None),
    ),
    # The recheck before a send reads the same dates, so it cannot find out who is active.
    Switch(
        "The activity dates of the newest download are in doubt",
        lambda profile: profile.activity_doubted_at is not None,
        {
            Operation.ASK: Effect(),
            Operation.SEND: Effect(hold=HoldReason.ACTIVITY),
        },
        profile_off=lambda: Q(activity_doubted_at=None),
    ),
    # It ends by itself: then one person is tried, see `lost_answers`.
    Switch(
        "Held: the answers to the last reclaims were lost",
        lambda profile: _is_coming(profile.lost_answers_held_until),
        {Operation.SEND: Effect(hold=HoldReason.LOST_ANSWERS)},
        profile_off=lambda: ~Q(lost_answers_held_until__gt=database_now()),
    ),
    # Not in the guard of a send: a connection that fails in that moment refuses the call itself.
    Switch(
        "A connection is in Error",
        lambda profile: bool(connection_state.broken_connections(profile)),
        {
            Operation.SEND: Effect(hold=HoldReason.CONNECTION),
            Operation.RESTORE: Effect(hold=HoldReason.CONNECTION),
        },
    ),
    Switch(
        "The connection that downloads is in Error",
        lambda profile: bool(_broken_download(profile)),
        {Operation.DOWNLOAD: Effect(_broken_download)},
    ),
)


# --- Read by Python ---------------------------------------------------------------------------------------------------


def stopping(profile: IntegrationProfile, operation: Operation) -> Iterator[Switch]:
    """The switches that stop this operation for the profile, as the object has them now. The first one explains."""
    return (switch for switch in TABLE if operation in switch.effects and switch.is_on(profile))


def refusal(profile: IntegrationProfile, operation: Operation) -> str:
    """Return why a person may not do this now, in a sentence; empty when it is allowed, or when it would only wait."""
    for switch in TABLE:
        effect = switch.effects.get(operation)
        if effect and effect.refusal and switch.is_on(profile):
            return effect.refusal(profile)
    return ""


def refuse(profile: IntegrationProfile, operation: Operation) -> None:
    """Raises Refused, with the sentence, while a switch does not allow this operation."""
    if sentence := refusal(profile, operation):
        raise Refused(sentence)


def hold(profile: IntegrationProfile, operation: Operation) -> HoldReason | None:
    """Return why what is queued has to wait; None when no switch holds it."""
    return next((switch.effects[operation].hold for switch in stopping(profile, operation)), None)


def note(profile: IntegrationProfile, operation: Operation) -> str:
    """Return why the button of this operation is disabled, by the profile's own switches; its state is named first."""
    own = [switch for switch in TABLE if switch.note and operation in switch.effects]
    by_state_first = sorted(own, key=lambda switch: switch.state is None)
    return str(next((switch.note for switch in by_state_first if switch.is_on(profile)), ""))


# --- Read by SQL: subqueries for the guard of an UPDATE, see ADR 15 ---------------------------------------------------


def profiles_allowing(operation: Operation) -> QuerySet[IntegrationProfile]:
    """The profiles whose own switches allow this operation."""
    switches = [switch for switch in TABLE if operation in switch.effects]
    stopped = {switch.state for switch in switches}
    off = [switch.profile_off() for switch in switches]
    return IntegrationProfile.objects.filter(*off, state__in=[state for state in ProfileState if state not in stopped])


def control_allowing(operation: Operation) -> QuerySet[SendingControl]:
    """The one row about all sending, where it allows this operation; else nothing."""
    switches = [switch for switch in TABLE if operation in switch.effects]
    return SendingControl.objects.filter(*(switch.control_off() for switch in switches), pk=1)


# --- docs/switches.md -------------------------------------------------------------------------------------------------


def as_markdown() -> str:
    """The whole text of docs/switches.md."""
    lines = [["switch", *Operation], ["---"] * (len(Operation) + 1)]
    lines += [[switch.name, *(_cell(switch.effects.get(operation)) for operation in Operation)] for switch in TABLE]
    return DOCUMENT.format(table="\n".join(f"| {' | '.join(line)} |" for line in lines))


DOCUMENT = """# Which switch stops what

{table}

* **yes**: the switch does not touch it.
* **no**: a person who tries is refused, with a sentence that says what to do first.
* **waits**: it stays in the queue with the reason shown, and goes on when the switch is off. Nothing is lost.

Where several switches are on, the first row gives the reason. *Send* and *restore* are also checked in the UPDATE that
commits the intent to send, in the last moment before the call; only a connection in Error is not, since it refuses the
call itself. Candidates are proposed after a download, or after a saved rule from facts of at most 26 hours.

The newest signed event of a switch counts as well as its row: a switch that is on in either of them stops a send. So
somebody who writes to the database can stop sends, and cannot allow them. If only the event says that it is on, switch
it on and off again on its page.

This page is made from the table in `subscriptions/reclaims/switches.py`, and a test compares the two.
"""


def _cell(effect: Effect | None) -> str:
    if effect is None:
        return "yes"
    if effect.refusal:
        return "no, waits if queued" if effect.hold else "no"
    return "waits"
