"""Read from the audit log who made an account, or changed who can use it. The four-eyes rule needs it.

An account is *tied* to who made it, set its password, its address or a role of it, or invited it again, within the last
30 days; and to who did this with that account, and so on. Two accounts are tied, too, if one account made both, or set
the password or address of both: whoever did that can perhaps sign in with both. Two tied accounts may be one person.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from django.contrib.auth.models import User
from django.db.models import QuerySet
from django.db.models.functions import Now
from django.utils.translation import gettext_lazy as _

from licensehub.audit.actions import Action
from licensehub.audit.chain.signed import is_genuine
from licensehub.audit.models import AuditEvent
from licensehub.ui.names import names_by_account
from subscriptions.accounts.own_seat import Identity, same_person_as
from subscriptions.errors import OwnRequest
from subscriptions.models import ChangeKind

TIED_FOR = timedelta(days=30)
TOUCHES = (
    Action.USER_CREATED,
    Action.USER_INVITED,
    Action.USER_ROLES_CHANGED,
    Action.USER_CHANGED,
    Action.USER_PASSWORD_RESET,
    Action.RIGHTS_TOOK_EFFECT,
)
OPENING = (Action.USER_INVITED, Action.USER_PASSWORD_RESET, Action.RIGHTS_TOOK_EFFECT)
# The other fields of an account, e.g. the last name, help nobody to sign in.
TELLING = frozenset({"email", "active", "staff", "superuser", "rights"})

TIED = _(
    "Your account is tied to an account that took part in this request. In the last {days} days, one of them made the "
    "other, or changed its password, address or role; or one account made both. Another person has to decide, or an "
    "operator must confirm your account at the console (confirm_account)."
)

Links = Mapping[int, set[int]]


@dataclass(frozen=True, slots=True)
class Origin:
    """The time at which an account was made, and its maker; an empty name means the console, or single sign-on."""

    made_at: datetime
    made_by: str


def origin_of(user: User) -> Origin:
    made = _events([Action.USER_CREATED]).filter(target_id=user.pk).order_by("sequence").first()
    if made is None or made.actor_id is None:
        return Origin(user.date_joined, "")
    return Origin(made.at, names_by_account([made.actor_id]).get(made.actor_id, made.actor_name))


@dataclass(frozen=True, slots=True)
class Hands:
    """The accounts that have made or changed an account lately: account -> the accounts that did it.

    `changed`: made it, or changed who can use it. `entered`: made it, or set its password or its address, so that they
    can perhaps sign in with it. `opened`: saw the link of its invitation, or set its password.
    """

    changed: dict[int, set[int]] = field(default_factory=lambda: defaultdict(set))
    entered: dict[int, set[int]] = field(default_factory=lambda: defaultdict(set))
    opened: dict[int, set[int]] = field(default_factory=lambda: defaultdict(set))

    def add(self, event: AuditEvent) -> None:
        if event.action == Action.ACCOUNT_CONFIRMED:
            # It frees the account, so nobody but LicenseHub can have written it.
            if is_genuine(event):
                for links in (self.changed, self.entered, self.opened):
                    links.pop(event.target_id, None)
            return
        if _was_confirmed(event):
            for links in (self.entered, self.opened):
                links.pop(event.target_id, None)
        hand = event.data.get("asked_by_id") if event.action == Action.RIGHTS_TOOK_EFFECT else event.actor_id
        if hand is None or hand == event.target_id or not _opens(event.action, event.data):
            return
        self.changed[event.target_id].add(hand)
        if _lets_in(event.action, event.data):
            self.entered[event.target_id].add(hand)
        if _shows_a_way_in(event):
            self.opened[event.target_id].add(hand)


def hands() -> Hands:
    """Return who made the accounts, or changed who can use them, in the last 30 days. Two queries."""
    found = Hands()
    lately = _events([*TOUCHES, Action.ACCOUNT_CONFIRMED]).filter(at__gte=Now() - TIED_FOR).order_by("sequence")
    for event in lately:
        found.add(event)
    return found


def openers() -> Links:
    """Account -> the accounts that saw the link of its invitation or set its password, at any time. One query.

    A confirmation at the console, or of the right to decide by a second admin, ends it.
    """
    found = Hands()
    for event in _events([*OPENING, Action.ACCOUNT_CONFIRMED]).order_by("sequence"):
        found.add(event)
    return found.opened


def _opens(action: str, data: Mapping[str, object]) -> bool:
    """Return whether this event may let its actor use the account."""
    if not data:  # its text was erased
        return True
    if action == Action.USER_CHANGED:
        after = data.get("after")
        return isinstance(after, dict) and not TELLING.isdisjoint(after)
    if action == Action.USER_ROLES_CHANGED:
        return bool(data.get("added"))
    return True


def _lets_in(action: str, data: Mapping[str, object]) -> bool:
    """Return whether this event, which opens the account, may let its actor sign in with it: a role does not."""
    if action == Action.USER_CHANGED:
        after = data.get("after")
        return not isinstance(after, dict) or "email" in after
    if action == Action.RIGHTS_TOOK_EFFECT:
        return data.get("kind") in (None, ChangeKind.ADDRESS, ChangeKind.PASSWORD)
    return action != Action.USER_ROLES_CHANGED


def _shows_a_way_in(event: AuditEvent) -> bool:
    """Return whether its actor saw a link or a password. A mailed link is seen by the owner of the address only."""
    if event.action == Action.USER_INVITED:
        return not event.data or bool(event.data.get("problem")) or not is_genuine(event)
    return event.action == Action.USER_PASSWORD_RESET or event.data.get("kind") == ChangeKind.PASSWORD


def _was_confirmed(event: AuditEvent) -> bool:
    """Return whether a second admin, who had no part in the account, confirmed its right to decide."""
    grant = event.action == Action.RIGHTS_TOOK_EFFECT and event.data.get("kind") == ChangeKind.GRANT
    return grant and bool(event.data.get("confirmed_by")) and is_genuine(event)


def tied_to(accounts: Iterable[int], known: Hands | None = None) -> set[int]:
    """All accounts that were made or changed by these, or by whom these were, or that one account made together with
    one of these, lately. Not these themselves.
    """
    made_by = hands() if known is None else known
    mine = set(accounts)
    makers = _reached(mine, made_by.entered)
    siblings = _reached(makers, _turned(made_by.entered))
    return (_reached(mine, made_by.changed) | _reached(mine, _turned(made_by.changed)) | siblings) - mine


def opened_with(accounts: Iterable[int]) -> set[int]:
    """All accounts that somebody who uses one of these could have opened, or the other way round. These, too."""
    links = openers()
    return _reached(_reached(set(accounts), links), _turned(links))


def refuse_tied(parties: Collection[int], *, actor: User, identities: Mapping[int, Identity]) -> None:
    """Raise OwnRequest when the actor's account is tied to one of these, or to another account of their owners."""
    if parties and actor.pk in tied_to(same_person_as(parties, identities)):
        raise OwnRequest(TIED.format(days=TIED_FOR.days))


def _turned(links: Links) -> Links:
    turned: dict[int, set[int]] = defaultdict(set)
    for account, makers in links.items():
        for maker in makers:
            turned[maker].add(account)
    return turned


def _reached(start: set[int], links: Links) -> set[int]:
    reached, todo = set(start), list(start)
    while todo:
        new = links.get(todo.pop(), set()) - reached
        reached |= new
        todo.extend(new)
    return reached


def _events(actions: list[Action]) -> QuerySet[AuditEvent]:
    return AuditEvent.objects.filter(
        target_type=User._meta.label_lower, action__in=[action.value for action in actions]
    )
