"""Read from the audit log who made an account, or changed who can use it. The four-eyes rule needs it.

An account is *tied* to who made it, set its password, its address or a role of it, or invited it again, within the last
30 days; and to who did this with that account, and so on. Two tied accounts may be one person.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.contrib.auth.models import User
from django.db.models import QuerySet
from django.db.models.functions import Now
from django.utils.translation import gettext_lazy as _

from licensehub.audit.actions import Action
from licensehub.audit.models import AuditEvent
from licensehub.database_clock import database_now
from subscriptions.accounts.own_seat import Identity, same_person_as
from subscriptions.errors import OwnRequest

TIED_FOR = timedelta(days=30)
TOUCHES = (
    Action.USER_CREATED,
    Action.USER_INVITED,
    Action.USER_ROLES_CHANGED,
    Action.USER_CHANGED,
    Action.USER_PASSWORD_RESET,
    Action.RIGHTS_TOOK_EFFECT,
)
# Of the other fields of an account, e.g. the last name, nobody gets in.
TELLING = frozenset({"email", "active", "staff", "superuser", "rights"})

TIED = _(
    "In the last 30 days, your account made or changed an account that took part in this request, or that account "
    "made or changed yours: the password, the address or a role. Another person has to decide, or an operator must "
    "confirm your account at the console (confirm_account)."
)


@dataclass(frozen=True, slots=True)
class Origin:
    """The time at which an account was made, and its maker; an empty name means the console, or single sign-on."""

    made_at: datetime
    made_by: str

    @property
    def days(self) -> int:
        return (database_now() - self.made_at).days


def origin_of(user: User) -> Origin:
    made = _events([Action.USER_CREATED]).filter(target_id=user.pk).order_by("sequence").first()
    if made is None or made.actor_id is None:
        return Origin(user.date_joined, "")
    return Origin(made.at, made.actor_name)


def hands() -> dict[int, set[int]]:
    """Account -> the accounts that made it or changed who can use it lately. Two queries."""
    found: dict[int, set[int]] = defaultdict(set)
    lately = _events([*TOUCHES, Action.ACCOUNT_CONFIRMED]).filter(at__gte=Now() - TIED_FOR).order_by("sequence")
    for action, actor, account, data in lately.values_list("action", "actor_id", "target_id", "data"):
        if action == Action.ACCOUNT_CONFIRMED:
            found.pop(account, None)
            continue
        hand = data.get("asked_by_id") if action == Action.RIGHTS_TOOK_EFFECT else actor
        if hand is not None and hand != account and _opens(action, data):
            found[account].add(hand)
    return found


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


def tied_to(accounts: Iterable[int], known: Mapping[int, set[int]] | None = None) -> set[int]:
    """All accounts that were made or changed by these, or by whom these were, lately. Not these themselves."""
    made_by = hands() if known is None else known
    makes: dict[int, set[int]] = defaultdict(set)
    for account, makers in made_by.items():
        for maker in makers:
            makes[maker].add(account)
    mine = set(accounts)
    return (_reached(mine, made_by) | _reached(mine, makes)) - mine


def refuse_tied(parties: Collection[int], *, actor: User, identities: Mapping[int, Identity]) -> None:
    """Raise OwnRequest when the actor's account is tied to one of these, or to another account of their owners."""
    if parties and actor.pk in tied_to(same_person_as(parties, identities)):
        raise OwnRequest(TIED)


def _reached(start: set[int], links: Mapping[int, set[int]]) -> set[int]:
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
