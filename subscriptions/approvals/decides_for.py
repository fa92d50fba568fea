"""The right of the deciding account, as the signed event of its decision says: for which profiles, and since when.

The event has their ids and not their names: an evidence pack for somebody who may see one of them has this event, too.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from django.utils.translation import gettext as _

from licensehub.audit.actions import Action
from licensehub.audit.chain.signed import is_genuine
from licensehub.audit.models import AuditEvent
from licensehub.ui.lists.id_filter import IdIn, IdList
from licensehub.ui.names import joined
from subscriptions.accounts.scope import names_for_reader
from subscriptions.models import ReclaimRequest

DECISIONS: Final = (Action.REQUEST_APPROVED, Action.REQUEST_REJECTED)


def decides_for(requests: Iterable[ReclaimRequest]) -> dict[int, str]:
    """`all profiles`, or names, by the id of each request that a person has decided. One query at most.

    Profiles that the reader may not see are not named.
    """
    return {pk: _unknown(event) or _profiles_in(event) for pk, event in _decisions(requests).items()}


def decides_since(requests: Iterable[ReclaimRequest]) -> dict[int, str]:
    """Say what gave effect to the right, and how the person joined, by the id of each request that a person has
    decided. One query at most.
    """
    return {pk: _unknown(event) or _right_in(event) for pk, event in _decisions(requests).items()}


def _decisions(requests: Iterable[ReclaimRequest]) -> dict[int, AuditEvent | None]:
    decided = [row.pk for row in requests if row.decided_by_id]
    if not decided:
        return {}
    events = AuditEvent.objects.filter(
        IdIn("target_id", IdList.of(decided)), target_type=ReclaimRequest._meta.label_lower, action__in=DECISIONS
    )
    newest = {event.target_id: event for event in events.order_by("sequence")}
    return {pk: newest.get(pk) for pk in decided}


def _unknown(event: AuditEvent | None) -> str:
    if event is None or not is_genuine(event):
        return _("unknown, since the event of the decision was changed outside of LicenseHub")
    if not event.salt:
        return _("not known any more, since a person in the event of the decision was erased")
    return ""


def _profiles_in(event: AuditEvent | None) -> str:
    profiles = event.data["account"].get("decides_for", []) if event else []
    return names_for_reader(None if profiles is None else frozenset(profiles))


def _right_in(event: AuditEvent | None) -> str:
    right = event.data["account"].get("right", {}) if event else {}
    if not right:
        return ""
    if right["confirmed_by"]:
        parts = [_("Confirmed by {name}.").format(name=right["confirmed_by"])]
    else:
        parts = [right["comment"] or _("A day after the mails about it.")]
    if right["joined_at"]:
        parts.append(_("Joined at {time}.").format(time=f"{right['joined_at'][:16].replace('T', ' ')} UTC"))
    if right["seen_by"]:
        parts.append(_("{names} saw the link or the password before.").format(names=joined(right["seen_by"])))
    return " ".join(parts)
