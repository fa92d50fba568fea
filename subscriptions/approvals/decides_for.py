"""The profiles for which the deciding account may decide, as the signed event of its decision says.

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
from subscriptions.accounts.scope import names_for_reader
from subscriptions.models import ReclaimRequest

DECISIONS: Final = (Action.REQUEST_APPROVED, Action.REQUEST_REJECTED)


def decides_for(requests: Iterable[ReclaimRequest]) -> dict[int, str]:
    """`all profiles`, or names, by the id of each request that a person has decided. One query at most.

    Profiles that the reader may not see are not named.
    """
    decided = [row.pk for row in requests if row.decided_by_id]
    if not decided:
        return {}
    events = AuditEvent.objects.filter(
        IdIn("target_id", IdList.of(decided)), target_type=ReclaimRequest._meta.label_lower, action__in=DECISIONS
    )
    newest = {event.target_id: event for event in events.order_by("sequence")}
    return {pk: _said_by(newest.get(pk)) for pk in decided}


def _said_by(event: AuditEvent | None) -> str:
    if event is None or not is_genuine(event):
        return _("unknown, since the event of the decision was changed outside of LicenseHub")
    if not event.salt:
        return _("not known any more, since a person in the event of the decision was erased")
    profiles = event.data["account"].get("decides_for", [])
    return names_for_reader(None if profiles is None else frozenset(profiles))
