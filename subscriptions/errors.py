"""Errors for an action that is not allowed for this person, or not now. The text says why, and what to do instead."""

from __future__ import annotations


class NotActionable(Exception):
    """The action came too late, or does not fit the state. The text says what the state is now."""


class Refused(Exception):
    """This action is not allowed for this person, or not now."""


class OwnRequest(Refused):
    """Nobody decides on their own request."""


class ConcernsYou(Refused):
    """The actor's own seat is concerned. Nobody requests their own seat, or decides on it."""


class ChangedOutside(Refused):
    """Rows differ from what LicenseHub wrote last: somebody changed them in the database."""


class OverCap(Refused):
    """More people than the cap of one request allows."""
