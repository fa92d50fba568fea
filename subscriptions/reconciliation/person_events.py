"""The vendor's own log of one person around a send, which shows whether somebody else changed this person meanwhile.

It is read when a user opens it, outside of any transaction, and it is not stored.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import islice

from django.utils.translation import gettext as _

from integrations.connectors.contract import Capability, ConnectorError, NotGranted, VendorEvent
from integrations.credentials import credential_store
from licensehub.database.clock import database_now
from subscriptions.models import Reclaim

# How long before the send the log is read.
TIME_BEFORE_SEND = timedelta(hours=1)
# At most this many events of the whole organization are read.
MAX_EVENTS = 5000


@dataclass(frozen=True, slots=True)
class PersonLog:
    """The events of one person from `since` to `until`. `not_checked` says why the log was not read, if it was not."""

    since: datetime
    until: datetime
    events: tuple[VendorEvent, ...] = ()
    not_checked: str = ""


def log_around(item: Reclaim) -> PersonLog:
    """The events of this person since shortly before the send, done to or by them. An error sets `not_checked`."""
    since, until = (item.sending_at or item.queued_at) - TIME_BEFORE_SEND, database_now()
    if Capability.AUDIT_LOG not in item.profile.connector.capabilities:
        return PersonLog(since, until, not_checked=_("Not checked: there is no log that LicenseHub could read."))
    try:
        connector = credential_store.connector_for(item.profile)
        found = list(islice(connector.events(since=since, until=until), MAX_EVENTS))
    except NotGranted as error:
        return PersonLog(since, until, not_checked=_("Not checked: {error}").format(error=error.message))
    except ConnectorError as error:
        return PersonLog(
            since, until, not_checked=_("Not checked, the log could not be read: {error}").format(error=error.message)
        )
    if len(found) == MAX_EVENTS:
        until = found[-1].at
    row, evidence = item.subscription, item.removal.evidence
    # The log has the name that an author had at the time.
    called = (row.email, row.name, evidence["email"], evidence["name"])
    names = {name.casefold() for name in called if name}
    events = (event for event in found if event.person_id == row.external_id or event.by.casefold() in names)
    return PersonLog(since, until, tuple(events))
