"""The names of several people. `formatting.name_of` has the name of one."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from django.contrib.auth.models import User
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from licensehub.ui.formatting import name_of, number


def account_of(user: User) -> str:
    """`Nils Berg (nils)`, where it matters which account of a person it is."""
    name, username = user.get_full_name(), user.get_username()
    return f"{name} ({username})" if name else username


def names_of(users: Iterable[User], *, shown: int = 3) -> str:
    """`Nils Berg, Sara Okoye or 2 others`; empty for nobody."""
    names = sorted(name_of(user) for user in users)
    more = len(names) - shown
    if more > 0:
        names = [*names[:shown], ngettext("{} other", "{} others", more).format(number(more))]
    if len(names) < 2:
        return "".join(names)
    return _("{names} or {last}").format(names=", ".join(names[:-1]), last=names[-1])


def name_fields(account: str) -> tuple[str, ...]:
    """The fields by which a list finds rows of a person; `account` is the path to the account, e.g. `created_by`."""
    return tuple(f"{account}__{field}" for field in ("first_name", "last_name", "username"))


def joined(names: Sequence[str]) -> str:
    """Join names: `Monday, Tuesday and Friday`; empty without names."""
    if len(names) < 2:
        return "".join(names)
    return _("{names} and {last}").format(names=", ".join(names[:-1]), last=names[-1])


def names_by_account(ids: Iterable[int | None] | None = None) -> dict[int | None, str]:
    """The id of each account -> the name; of all accounts without `ids`. A deleted account is not in it."""
    users = User.objects.all() if ids is None else User.objects.filter(pk__in={pk for pk in ids if pk is not None})
    return {user.pk: name_of(user) for user in users.only("username", "first_name", "last_name")}


def named(events: Iterable[Any]) -> list[Any]:
    """These audit events, each with `who`: the name of the person, or the account if it is deleted."""
    found = list(events)
    names = names_by_account(event.actor_id for event in found)
    for event in found:
        event.who = names.get(event.actor_id, event.actor_name)
    return found
