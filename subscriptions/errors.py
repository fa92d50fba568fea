"""Errors for an action that is not allowed for this person, or not now. The text says why, and what to do instead."""

from __future__ import annotations

from collections.abc import Iterable

from licensehub.audit.log import Actor


class NotActionable(Exception):
    """The action came too late, or does not fit the state. The text says what the state is now."""


class Refused(Exception):
    """This action is not allowed for this person, or not now."""


class OwnRequest(Refused):
    """Nobody decides on their own request."""


class ConcernsYou(Refused):
    """Nobody requests or approves the reclaim of their own seat."""


class OverCap(Refused):
    """More people than the cap of one request allows."""


def refuse_self(emails: Iterable[str], actor: Actor) -> None:
    """Raises ConcernsYou when one of these people is the actor, matched by e-mail in any case."""
    mine = (getattr(actor, "email", "") or "").strip().casefold()
    if mine and any(email.casefold() == mine for email in emails):
        raise ConcernsYou(
            "Your own seat is among these people, so you can neither request nor approve this. Ask a colleague."
        )
