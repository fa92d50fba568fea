"""Compare the vendor's own log of deactivations and activations with the sends of the ledger."""

from __future__ import annotations

import time
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from django.utils.text import capfirst

from integrations.connectors.contract import (
    NEUTRAL,
    Capability,
    ConfigError,
    Connector,
    ConnectorError,
    NotGranted,
    VendorEvent,
    english,
)
from integrations.models import IntegrationProfile
from licensehub import stopping
from licensehub.ui.formatting import day_and_time
from subscriptions.models import Direction, Reclaim, ReclaimState, Subscription
from subscriptions.reconciliation.differences import NOW_ACTIVE, Difference, Kind

# The vendor's clock differs from ours, and it may carry out a write after its answer was lost.
MAX_SKEW = timedelta(minutes=5)
# After this time an event is in the log.
MAX_LOG_DELAY = timedelta(minutes=10)
# A long log is read for this many seconds only, so that the task ends.
MAX_SECONDS = 120.0
NOT_READ = english("{vendor}'s own log could not be read to its end: {error}")
LONG = english("{vendor}'s own log is long: it was read up to {time} only.")
BY = english("{vendor}'s log: by {name}, {time}.")
NOT_OURS = english(
    "{vendor}'s log shows a deactivation through {through} on {time}, which LicenseHub did not send, as far as "
    "this database knows."
)
ASK_WHO = english(
    "Ask who else uses {through} with {vendor}, for example your identity provider. After a restored backup, this "
    "person was probably reclaimed by LicenseHub before. If nobody else uses {through}, replace its token."
)
NO_EVENT = english("Reclaimed on {time}, but {vendor}'s own log shows no deactivation then.")
LOOK_UP = english(
    "Look this person up in {vendor}'s audit log. If it is not there, ask {vendor}; the reclaim's page has the "
    "time and {vendor}'s answer."
)


@dataclass
class VendorLog:
    """The events that were read: their number, and the deactivations and activations, the oldest first."""

    since: datetime
    until: datetime
    checked: bool = False
    events: int = 0
    problem: str = ""
    deactivated: list[VendorEvent] = field(default_factory=list)
    activated: list[VendorEvent] = field(default_factory=list)
    # The words for doers that write in the same way as LicenseHub itself.
    doers: frozenset[str] = frozenset()
    vendor: str = NEUTRAL.vendor


def read_log(connector: Connector, *, since: datetime, until: datetime) -> VendorLog:
    """Read the log. Without the permission it stays unchecked; `problem` has other errors. Raises ConfigError."""
    log = VendorLog(since, until, doers=connector.reclaim_doers, vendor=connector.texts.vendor)
    if Capability.AUDIT_LOG not in connector.capabilities:
        return log
    try:
        _read(connector, log)
    except (NotGranted, ConfigError) as error:
        if isinstance(error, ConfigError):
            raise
    except ConnectorError as error:
        log.problem = NOT_READ.format(vendor=capfirst(log.vendor), error=error.message)
    else:
        log.checked = True
    return log


def _read(connector: Connector, log: VendorLog) -> None:
    stop = time.monotonic() + MAX_SECONDS
    for event in connector.events(since=log.since, until=log.until):
        stopping.check()
        log.events += 1
        if event.event in connector.deactivated_words:
            log.deactivated.append(event)
        elif event.event in connector.activated_words:
            log.activated.append(event)
        if time.monotonic() > stop:
            log.until = event.at
            log.problem = LONG.format(vendor=capfirst(log.vendor), time=day_and_time(event.at))
            return


def with_doer(difference: Difference, log: VendorLog) -> Difference:
    """The same difference, with the person or program that did it, if the log has them."""
    events = log.activated if difference.kind in NOW_ACTIVE else log.deactivated
    last = next((event for event in reversed(events) if event.person_id == difference.external_id), None)
    if last is None or not (last.by or last.by_kind):
        return difference
    by = BY.format(vendor=capfirst(log.vendor), name=last.by or last.by_kind, time=day_and_time(last.at))
    return replace(difference, detail=f"{difference.detail} {by}")


def in_log(profile: IntegrationProfile, sent: list[Reclaim], log: VendorLog) -> list[Difference]:
    """The differences between the log and the sends of both directions (`sent`, the oldest first)."""
    reclaims = [item for item in sent if item.direction == Direction.DEACTIVATE]
    return [*_unexplained(profile, reclaims, log), *_without_event(profile, reclaims, log)]


# --- A deactivation that is not ours ----------------------------------------------------------------------------------


def _unexplained(profile: IntegrationProfile, reclaims: list[Reclaim], log: VendorLog) -> list[Difference]:
    left = list(reclaims)
    unexplained = []
    for event in log.deactivated:
        if event.by_kind not in log.doers:
            continue
        intent = next((item for item in left if _is_event_of(event, item)), None)
        if intent is None:
            unexplained.append(event)
        else:
            left.remove(intent)  # one intent explains one deactivation
    ids = [event.person_id for event in unexplained]
    rows = Subscription.objects.filter(profile=profile, external_id__in=ids)
    names = {row.external_id: row.display_name for row in rows}
    return [_not_ours(profile, event, names.get(event.person_id, event.person)) for event in unexplained]


def _is_event_of(event: VendorEvent, item: Reclaim) -> bool:
    if event.person_id != item.subscription.external_id or item.sending_at is None:
        return False
    end = item.finished_at or event.at
    return item.sending_at - MAX_SKEW <= event.at <= end + MAX_SKEW


def _not_ours(profile: IntegrationProfile, event: VendorEvent, person: str) -> Difference:
    through, vendor = profile.texts.written_through, profile.vendor
    return Difference(
        kind=Kind.UNEXPLAINED,
        external_id=event.person_id,
        person=person or event.person_id,
        detail=NOT_OURS.format(vendor=capfirst(vendor), through=through, time=day_and_time(event.at)),
        next_step=ASK_WHO.format(vendor=vendor, through=through),
        at=event.at,
    )


# --- A reclaim that is not in the log ---------------------------------------------------------------------------------


def _without_event(profile: IntegrationProfile, reclaims: list[Reclaim], log: VendorLog) -> list[Difference]:
    """Reclaims that the log lacks. If it has no deactivation at all, the vendor may have changed its word for it."""
    if not log.deactivated:
        return []
    return [
        _missing(item, profile.vendor)
        for item in reclaims
        if _is_covered(item, log) and not any(_is_event_of(event, item) for event in log.deactivated)
    ]


def _is_covered(item: Reclaim, log: VendorLog) -> bool:
    """Whether the part of the log that was read must have the event of this item."""
    if item.state != ReclaimState.DONE or item.sending_at is None or item.finished_at is None:
        return False
    return log.since + MAX_SKEW <= item.sending_at and item.finished_at <= log.until - MAX_LOG_DELAY


def _missing(item: Reclaim, vendor: str) -> Difference:
    return Difference(
        kind=Kind.NOT_IN_LOG,
        external_id=item.subscription.external_id,
        person=item.subscription.display_name,
        detail=NO_EVENT.format(time=day_and_time(item.finished_at), vendor=vendor),
        next_step=LOOK_UP.format(vendor=vendor),
        reclaim=item.pk,
        at=item.finished_at,
    )
