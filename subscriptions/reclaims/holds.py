"""The reasons for which approved items wait, and until when. A held item is never lost: it stays queued."""

from __future__ import annotations

from datetime import datetime, timedelta

from integrations.connections.validation import is_fit, validate_connections
from integrations.connectors.contract import ConnectorError, english
from integrations.models import IntegrationProfile
from licensehub.database.clock import database_now
from subscriptions.candidates import caps
from subscriptions.models import Direction, HoldReason, Reclaim
from subscriptions.models.reclaims.reclaim import ReclaimQuerySet
from subscriptions.reclaims import switches
from subscriptions.reclaims.direction import spec_for
from subscriptions.reclaims.signed.switches import signed_hold
from subscriptions.schedules.schedules import window_open, window_opens_at

RETRY_DELAY = timedelta(seconds=60)
NO_ANSWER = english("The vendor did not answer when its connections were tried before the send.")


def profile_hold(profile: IntegrationProfile, direction: str = Direction.DEACTIVATE) -> HoldReason | None:
    """Return why nothing may be sent for this profile; None when it may. A restore waits for no window and no cap."""
    now = IntegrationProfile.objects.get(pk=profile.pk)
    operation = spec_for(direction).operation
    hold = switches.hold(now, operation) or signed_hold(now, operation)
    if hold or direction != Direction.DEACTIVATE:
        return hold
    if not window_open(now):
        return HoldReason.WINDOW
    return None if caps.caps_of(now).left else HoldReason.ROLLING_CAP


def item_hold(
    profile: IntegrationProfile, item: Reclaim, *, rolling: int, ahead: caps.Ahead | None = None
) -> HoldReason | None:
    """Return why this person has to wait although no switch holds anything. A restore waits for no window, no cap.

    `ahead` counts the people whom a dry run would send before this one.
    """
    if item.direction == Direction.REACTIVATE:
        return None
    if not window_open(profile):
        return HoldReason.WINDOW
    return caps.reached(profile, item.removal.request, rolling=rolling, ahead=ahead)


def try_connections(profile: IntegrationProfile, direction: str) -> HoldReason | None:
    """Try both connections with harmless calls, and check that they belong to one organization.

    Returns why nothing may be sent, or None.
    """
    try:
        fit = is_fit(validate_connections(profile, actor=None))
    except ConnectorError:
        fit = False  # it is noted on the connection, and `profile_hold` reads it there
    return None if fit else profile_hold(profile, direction) or HoldReason.LATER


def hold_due_items(profile: IntegrationProfile, hold: HoldReason, direction: str = Direction.DEACTIVATE) -> int:
    """Note the reason on all items that are due. Returns how many there are.

    The window, the cap and the hold after lost answers have a known end, and the vendor is tried again soon. Other
    holds end when somebody acts.
    """
    values: dict[str, object] = {"hold_reason": hold}
    if hold in (HoldReason.WINDOW, HoldReason.ROLLING_CAP, HoldReason.LOST_ANSWERS):
        values["not_before"] = _known_end(profile, hold)
    elif hold == HoldReason.LATER:
        values["not_before"] = database_now() + RETRY_DELAY
        values["outcome"] = NO_ANSWER
    return due_items(profile, direction).update(**values)


def due_items(profile: IntegrationProfile, direction: str) -> ReclaimQuerySet:
    return Reclaim.objects.due().filter(profile=profile, direction=direction)


def wait_for(profile: IntegrationProfile, hold: HoldReason) -> timedelta:
    """Return how long a requeued item waits: until the known end of the hold, else for a short time."""
    until = _known_end(profile, hold)
    return until - database_now() if until else RETRY_DELAY


def _known_end(profile: IntegrationProfile, hold: HoldReason) -> datetime | None:
    if hold == HoldReason.WINDOW:
        return window_opens_at(profile)
    if hold == HoldReason.ROLLING_CAP:
        return caps.free_at(profile)
    if hold == HoldReason.LOST_ANSWERS:
        return IntegrationProfile.objects.values_list("lost_answers_held_until", flat=True).get(pk=profile.pk)
    return None
