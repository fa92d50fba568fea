"""The vendor's own log of one person around a send: did somebody else change them meanwhile?

Asked when a person wants to see it, outside of any transaction, and never kept.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import islice

from django.utils import timezone

from integrations import credential_store
from integrations.connectors.contract import Capability, ConnectorError, NotGranted, VendorEvent
from subscriptions.models import Reclaim

# From shortly before the send; so many events of the whole organization are looked through.
BEFORE = timedelta(hours=1)
MAX_EVENTS = 5000


@dataclass(frozen=True, slots=True)
class Log:
    """What the vendor's log says from `since` to `until`. With `not_checked` it says nothing, and that is why."""

    since: datetime
    until: datetime
    events: tuple[VendorEvent, ...] = ()
    not_checked: str = ""


def log_around(item: Reclaim) -> Log:
    """What was done to this person, or by them, since shortly before the send. A failure is a sentence, too."""
    since, until = (item.sending_at or item.queued_at) - BEFORE, timezone.now()
    if Capability.AUDIT_LOG not in item.profile.connector.capabilities:
        return Log(since, until, not_checked="Not checked: there is no log that LicenseHub could read.")
    try:
        connector = credential_store.connector_for(item.profile)
        found = list(islice(connector.events(since=since, until=until), MAX_EVENTS))
    except NotGranted as error:
        return Log(since, until, not_checked=f"Not checked: {error.message}")
    except ConnectorError as error:
        return Log(since, until, not_checked=f"Not checked, the log could not be read: {error.message}")
    if len(found) == MAX_EVENTS:
        until = found[-1].at
    return Log(since, until, tuple(event for event in found if _concerns(event, item)))


def _concerns(event: VendorEvent, item: Reclaim) -> bool:
    row = item.subscription
    did_it = event.by.casefold() in {name.casefold() for name in (row.email, row.name) if name}
    return event.person_id == row.external_id or did_it
