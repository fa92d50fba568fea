"""Why an act is not for this person, or not now. The text says why, and what to do instead."""

from __future__ import annotations

from collections.abc import Iterable

from integrations.models import RESTORING_STATES, IntegrationProfile, ProfileState
from licensehub.audit.log import Actor


class NotActionable(Exception):
    """The action came too late, or does not fit this state. The text says what holds now."""


class Refused(Exception):
    """This act is not for this person, or not now."""


class OwnRequest(Refused):
    """Nobody decides on their own request."""


class ConcernsYou(Refused):
    """Nobody requests or approves the reclaim of their own seat."""


class OverCap(Refused):
    """More people than one request may touch."""


def refuse_self(emails: Iterable[str], actor: Actor) -> None:
    """Raises ConcernsYou when one of these people is the actor, matched by e-mail in any case."""
    mine = (getattr(actor, "email", "") or "").strip().casefold()
    if mine and any(email.casefold() == mine for email in emails):
        raise ConcernsYou(
            "Your own seat is among these people, so you can neither request nor approve this. Ask a colleague."
        )


def refuse_unless_deciding(profile: IntegrationProfile) -> None:
    """Raises Refused while the profile's switches let nobody request or approve."""
    if profile.state != ProfileState.PUBLISHED:
        raise Refused(
            f"“{profile}” is {profile.get_state_display().lower()}. Publish it before you request or approve."
        )
    if not profile.reclaim_enabled:
        raise Refused(f"Reclaim subscriptions is switched off for “{profile}”. Switch it on in the profile first.")


def refuse_unless_restoring(profile: IntegrationProfile) -> None:
    """Raises Refused while nothing can be given back. Less stops a restore: it helps, and whoever waits is locked out.

    Neither a pause nor the kill switch nor *Reclaim subscriptions* refuses it.
    """
    if profile.state not in RESTORING_STATES:
        raise Refused(
            f"“{profile}” is {profile.get_state_display().lower()}, so LicenseHub sends nothing for it, restores "
            "included. A company admin can activate this person in Miro."
        )
