"""The vendor's own log of who was deactivated and activated, and what of it the ledger explains."""

from __future__ import annotations

import time
from collections.abc import Iterable
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
)
from integrations.models import IntegrationProfile
from licensehub.ui.formatting import day_and_time
from subscriptions.models import Direction, Reclaim, ReclaimState, Subscription
from subscriptions.reconciliation.differences import NOW_ACTIVE, Difference, Kind

# Two clocks, and a vendor that may apply a write after its answer was lost.
SKEW = timedelta(minutes=5)
# An event is in the log by then.
LAG = timedelta(minutes=10)
# A longer log is read up to here: one task must not run for hours.
SECONDS = 120.0


@dataclass
class Log:
    """What was read: `events` of all kinds, and those that tell of seats taken or given back, the oldest first."""

    since: datetime
    until: datetime
    checked: bool = False
    events: int = 0
    problem: str = ""
    deactivated: list[VendorEvent] = field(default_factory=list)
    activated: list[VendorEvent] = field(default_factory=list)
    # The doers that are programs on the way that LicenseHub itself uses.
    doers: frozenset[str] = frozenset()
    vendor: str = NEUTRAL.vendor


def read_log(connector: Connector, *, since: datetime, until: datetime) -> Log:
    """Raises ConfigError. Without the scope, nothing is checked; what else goes wrong is told in `problem`."""
    log = Log(since, until, doers=connector.reclaim_doers, vendor=connector.texts.vendor)
    if Capability.AUDIT_LOG not in connector.capabilities:
        return log
    try:
        _read(connector, log)
    except (NotGranted, ConfigError) as error:
        if isinstance(error, ConfigError):
            raise
    except ConnectorError as error:
        log.problem = f"{capfirst(log.vendor)}'s own log could not be read to its end: {error.message}"
    else:
        log.checked = True
    return log


def _read(connector: Connector, log: Log) -> None:
    stop = time.monotonic() + SECONDS
    for event in connector.events(since=log.since, until=log.until):
        log.events += 1
        if event.event in connector.deactivated_words:
            log.deactivated.append(event)
        elif event.event in connector.activated_words:
            log.activated.append(event)
        if time.monotonic() > stop:
            log.until = event.at
            log.problem = f"{capfirst(log.vendor)}'s own log is long: it was read up to {day_and_time(event.at)} only."
            return


def with_doer(difference: Difference, log: Log) -> Difference:
    """The same, and who did it, where the log tells."""
    events = log.activated if difference.kind in NOW_ACTIVE else log.deactivated
    last = next((event for event in reversed(events) if event.person_id == difference.external_id), None)
    if last is None or not (last.by or last.by_kind):
        return difference
    words = f"{difference.detail} {capfirst(log.vendor)}'s log: by {last.by or last.by_kind}, {day_and_time(last.at)}."
    return replace(difference, detail=words)


def in_log(profile: IntegrationProfile, sent: list[Reclaim], log: Log) -> list[Difference]:
    """`sent`: the sends of both directions, the oldest first."""
    reclaims = [item for item in sent if item.direction == Direction.DEACTIVATE]
    return [*_unexplained(profile, reclaims, log), *_without_event(profile, reclaims, log)]


# --- A deactivation that is not ours ----------------------------------------------------------------------------------


def _unexplained(profile: IntegrationProfile, reclaims: list[Reclaim], log: Log) -> list[Difference]:
    left = list(reclaims)
    strange = []
    for event in log.deactivated:
        if event.by_kind not in log.doers:
            continue
        intent = next((item for item in left if _tells_of(event, item)), None)
        if intent is None:
            strange.append(event)
        else:
            left.remove(intent)  # one intent explains one deactivation
    known = _names(profile, (event.person_id for event in strange))
    return [_strange(profile, event, known.get(event.person_id, event.person)) for event in strange]


def _tells_of(event: VendorEvent, item: Reclaim) -> bool:
    if event.person_id != item.subscription.external_id or item.sending_at is None:
        return False
    end = item.finished_at or event.at
    return item.sending_at - SKEW <= event.at <= end + SKEW


def _names(profile: IntegrationProfile, external_ids: Iterable[str]) -> dict[str, str]:
    rows = Subscription.objects.filter(profile=profile, external_id__in=list(external_ids))
    return {row.external_id: row.display_name for row in rows}


def _strange(profile: IntegrationProfile, event: VendorEvent, person: str) -> Difference:
    through, vendor = profile.texts.written_through, profile.vendor
    return Difference(
        kind=Kind.UNEXPLAINED,
        external_id=event.person_id,
        person=person or event.person_id,
        detail=f"{capfirst(vendor)}'s log tells of a deactivation through {through} on {day_and_time(event.at)}, "
        "which LicenseHub did "
        "not send, as far as this database knows.",
        next_step=f"Ask who else uses {through} with {vendor}, for example your identity provider. After a restored "
        "backup, this "
        f"person was probably reclaimed by LicenseHub before. If nobody else uses {through}, replace the {through} "
        "token.",
        at=event.at,
    )


# --- A reclaim that is not in the log ---------------------------------------------------------------------------------


def _without_event(profile: IntegrationProfile, reclaims: list[Reclaim], log: Log) -> list[Difference]:
    """Asked only where the log uses a word for deactivations that is known; vendors may change their words."""
    if not log.deactivated:
        return []
    return [_missing(item, profile.vendor) for item in reclaims if _covered(item, log) and not _is_told(item, log)]


def _covered(item: Reclaim, log: Log) -> bool:
    if item.state != ReclaimState.DONE or item.sending_at is None or item.finished_at is None:
        return False
    return log.since + SKEW <= item.sending_at and item.finished_at <= log.until - LAG


def _is_told(item: Reclaim, log: Log) -> bool:
    return any(_tells_of(event, item) for event in log.deactivated)


def _missing(item: Reclaim, vendor: str) -> Difference:
    return Difference(
        kind=Kind.NOT_IN_LOG,
        external_id=item.subscription.external_id,
        person=item.subscription.display_name,
        detail=f"Reclaimed on {day_and_time(item.finished_at)}, but {vendor}'s own log tells of no deactivation then.",
        next_step=f"Look this person up in {vendor}'s audit log. If it is not there, ask {vendor}; the reclaim's page "
        "has the "
        f"time and {vendor}'s answer.",
        reclaim=item.pk,
        at=item.finished_at,
    )
