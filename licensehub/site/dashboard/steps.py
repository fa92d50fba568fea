"""A step of the setup, as the overview shows it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from django.contrib.auth.models import AnonymousUser, User
from django.utils.translation import gettext as _

from licensehub.ui.names import names_of
from subscriptions.accounts.rights import people_with


class StepState(StrEnum):
    DONE = "done"
    # It worked before, or something refuses it. A person has to act.
    FAILED = "failed"
    # LicenseHub or somebody else is at work.
    WAITING = "waiting"
    NEXT = "next"
    # A step before it comes first.
    LATER = "later"


@dataclass(frozen=True, slots=True)
class Button:
    """Opens the page `link`, or posts to `action`."""

    label: str
    icon: str
    link: str = ""
    action: str = ""


@dataclass(frozen=True, slots=True)
class SecretInput:
    """A new secret in place of the one that does not work: the address of its form, and the input's name and label."""

    action: str
    name: str
    label: str


@dataclass(frozen=True, slots=True)
class Step:
    """`details` are numbered hints. `ask` takes the place of the buttons for people who may not press them."""

    title: str
    text: str
    state: StepState
    details: tuple[str, ...] = ()
    buttons: tuple[Button, ...] = ()
    ask: str = ""
    secret: SecretInput | None = None


def allowed(user: User | AnonymousUser, permission: str, *buttons: Button) -> tuple[tuple[Button, ...], str]:
    """The buttons for a user with the permission; for other users, no buttons and a sentence that says whom to ask."""
    if user.has_perm(permission):
        return buttons, ""
    names = names_of(people_with(permission))
    nobody = _("No account may do this. Ask the person who runs LicenseHub.")
    return (), _("Ask {names}.").format(names=names) if names else nobody
