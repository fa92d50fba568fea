"""Why approved items wait, and until when. A hold never loses one: it stays queued, with the reason shown."""

from __future__ import annotations

from datetime import timedelta

from django.utils import timezone

from integrations import states
from integrations.connectors.contract import ConnectorError
from integrations.models import IntegrationProfile, ProfileState
from integrations.validation import is_fit, validate_connections
from subscriptions.models import HoldReason, Reclaim
from subscriptions.schedules import window_open, window_opens_at

COME_BACK = timedelta(seconds=60)


def hold_on(profile: IntegrationProfile) -> HoldReason | None:
    """Why nothing may be sent for this profile now; None when it may."""
    now = IntegrationProfile.objects.get(pk=profile.pk)
    if now.sending_stopped:
        return HoldReason.KILL_SWITCH
    if now.state != ProfileState.PUBLISHED:
        return HoldReason.PAUSED
    if not now.reclaim_enabled:
        return HoldReason.RECLAIM_OFF
    if states.broken_connections(profile):
        return HoldReason.CONNECTION
    if not window_open(profile):
        return HoldReason.WINDOW
    return None


def unfit_connections(profile: IntegrationProfile) -> HoldReason | None:
    """Before a batch: try both connections, and whether they are of the same organization. Why it must wait, or None.

    Nothing is tried while another hold stands, or nothing is due.
    """
    if hold_on(profile) or not Reclaim.objects.due().filter(profile=profile).exists():
        return None
    try:
        fit = is_fit(validate_connections(profile, actor=None))
    except ConnectorError:
        fit = False  # noted on the connection, which `hold_on` sees
    return None if fit else hold_on(profile) or HoldReason.LATER


def hold_due(profile: IntegrationProfile, hold: HoldReason) -> int:
    """Note the reason on everything that is due. Returns on how many."""
    return Reclaim.objects.due().filter(profile=profile).update(hold_reason=hold, **_until(profile, hold))


def wait_of(profile: IntegrationProfile, hold: HoldReason) -> timedelta:
    """How long an item waits that was let go before its send: until the window opens, else it is asked again soon."""
    opens = window_opens_at(profile) if hold == HoldReason.WINDOW else None
    return opens - timezone.now() if opens else COME_BACK


def _until(profile: IntegrationProfile, hold: HoldReason) -> dict[str, object]:
    """The window and the vendor say when to come back; the other holds end by somebody's act."""
    if hold == HoldReason.WINDOW:
        return {"not_before": window_opens_at(profile)}
    if hold == HoldReason.LATER:
        words = "Miro did not answer when its connections were tried before the send."
        return {"not_before": timezone.now() + COME_BACK, "outcome": words}
    return {}
