"""The switches for all sending: stop all sending, and the hold after a restored backup."""

from __future__ import annotations

from django.db import transaction
from django.utils.translation import gettext as _

from integrations.installation import instance
from integrations.models import SendingControl
from licensehub.audit.actions import Action
from licensehub.audit.chain.checkpoint import Checkpoint, to_set_aside
from licensehub.audit.log import Actor, record
from licensehub.database.clock import database_now
from licensehub.ui.formatting import name_of

MIN_REASON_LENGTH = 10


class NotSwitched(Exception):
    """Nothing was changed: sending is in this state already, or the reason is missing. The text says which."""


def control() -> SendingControl:
    """The current row."""
    return SendingControl.objects.get(pk=1)


def stop_all(*, actor: Actor, reason: str) -> None:
    """From now on no deactivation starts in any profile. Restores continue."""
    if not reason.strip():
        raise NotSwitched(_("Say in a few words why all sending is stopped. Other people will need the reason."))
    values = {
        "stopped": True,
        "stopped_by": name_of(actor)[:150] if actor else "",
        "stopped_at": database_now(),
        "reason": reason.strip(),
    }
    _switch(values, when={"stopped": False}, action=Action.ALL_SENDING_STOPPED, actor=actor, reason=reason.strip())


def allow_all(*, actor: Actor) -> None:
    """Allow sending again. A profile that was stopped on its own page stays stopped."""
    values = {"stopped": False, "stopped_by": "", "stopped_at": None, "reason": ""}
    _switch(values, when={"stopped": True}, action=Action.ALL_SENDING_ALLOWED, actor=actor, reason="")


def hold(reason: str, *, kept: Checkpoint | None = None) -> bool:
    """Hold all sending until a person has checked. Returns False when it was held already.

    `kept` is the checkpoint that does not fit. A release then sets it aside, also on a host that does not see it.
    """
    with transaction.atomic():
        free = SendingControl.objects.filter(pk=1, held_at=None)
        if free.update(held_at=database_now(), held_why=reason) != 1:
            return False
        data = {"why": reason, **({"kept": kept.as_data()} if kept else {})}
        record(Action.SENDING_HELD, actor=None, target=control(), data=data)
    return True


def release(*, actor: Actor, checked: str, renew: bool = False) -> None:
    """Release held sending after an admin has checked it. `checked` says what. Raises NotSwitched.

    With `renew`, approvals given until now no longer allow a send. A database that may be a copy is adopted. The event
    names the checkpoints that are given up: nothing else makes LicenseHub replace them.
    """
    if len(checked.strip()) < MIN_REASON_LENGTH:
        raise NotSwitched(_("Say in a sentence what you checked before you release sending."))
    lost = [checkpoint.as_data() for checkpoint in to_set_aside()]
    with transaction.atomic():
        held = SendingControl.objects.filter(pk=1, held_at__isnull=False)
        if held.update(held_at=None, held_why="") != 1:
            raise NotSwitched(_("Sending is not held."))
        data = {"checked": checked.strip(), "renew": renew, "set_aside": lost}
        record(Action.SENDING_RELEASED, actor=actor, target=control(), data=data)
        try:
            instance.adopt(actor=actor)
        except instance.NoInstanceId as error:
            raise NotSwitched(
                _("This installation has no id, so nothing was released. Set INSTANCE_ID, and restart LicenseHub.")
            ) from error


def _switch(values: dict[str, object], *, when: dict[str, object], action: Action, actor: Actor, reason: str) -> None:
    with transaction.atomic():
        if SendingControl.objects.filter(pk=1, **when).update(**values) != 1:
            raise NotSwitched(
                _("All sending is stopped already.") if values["stopped"] else _("All sending is allowed already.")
            )
        record(action, actor=actor, target=control(), data={"reason": reason} if reason else {})
