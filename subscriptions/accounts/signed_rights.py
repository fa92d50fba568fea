"""Signed events about rights to decide and changes of rights. Nobody can write them without AUDIT_KEY.

The rows of a role, of a right and of a change can be written in the database by somebody who can write there at all.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from django.contrib.auth.models import User
from django.utils.crypto import constant_time_compare, salted_hmac

from licensehub.audit.actions import Action
from licensehub.audit.chain.signature import is_believed
from licensehub.audit.chain.signed import NotSigned, newest_signed
from licensehub.audit.models import AuditEvent
from subscriptions.models import ChangeKind, RightsChange

# What the event of a right that took effect says about how it did.
ABOUT_A_RIGHT: Final = ("comment", "confirmed_by", "joined_at", "seen_by")


def is_granted(user: User) -> bool:
    """Whether the newest event about the account's right to decide is that it took effect, at its place in the chain.

    An event whose text was erased grants nothing.
    """
    return grant_of(user) is not None


def grant_of(user: User) -> AuditEvent | None:
    """The event by which the account may decide now; None without one."""
    try:
        for event in _newest_first(user.pk, Action.RIGHTS_TOOK_EFFECT, Action.RIGHTS_ENDED):
            # The text of an event says which right it is about. So each one is checked before it is left out.
            newest_signed([event])
            if event.action == Action.RIGHTS_ENDED or event.data.get("kind") == ChangeKind.GRANT:
                return event if event.action == Action.RIGHTS_TOOK_EFFECT and is_believed(event) else None
    except NotSigned:
        return None
    return None


def was_asked(change: RightsChange) -> bool:
    """Whether LicenseHub itself made this change, with these values; for a password, while the former one is in use."""
    said = _said(change, Action.RIGHTS_ASKED)
    if said is None:
        return False
    values = {"kind": change.kind, "after": change.after, "asked_by_id": change.asked_by_id}
    if any(said.data.get(name) != value for name, value in values.items()):
        return False
    return change.kind != ChangeKind.PASSWORD or constant_time_compare(
        str(said.data.get("passwords")), passwords_digest(change.account_id, change.password)
    )


def announcement(change: RightsChange) -> AuditEvent | None:
    """Return the event that the mails about it were handed over; None before that."""
    return _said(change, Action.RIGHTS_ANNOUNCED)


def passwords_digest(account_id: int, hashed: str) -> str:
    """A keyed digest of the hash of the account's password of now, and of the hash that shall replace it."""
    former = User.objects.values_list("password", flat=True).get(pk=account_id)
    return salted_hmac("subscriptions.rights.passwords", f"{former}\n{hashed}", algorithm="sha256").hexdigest()


def _said(change: RightsChange, action: Action) -> AuditEvent | None:
    """The event of this change; None without one, or if somebody has changed it."""
    for event in _newest_first(change.account_id, action):
        if event.data.get("change") == change.pk:
            try:
                return newest_signed([event])
            except NotSigned:
                return None
    return None


def _newest_first(account_id: int, *actions: Action) -> Iterator[AuditEvent]:
    events = AuditEvent.objects.filter(target_type=User._meta.label_lower, target_id=account_id)
    yield from events.filter(action__in=[action.value for action in actions]).order_by("-sequence")
