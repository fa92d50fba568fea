"""Roles of accounts, and the profiles for which they hold. Accounts are named by username, which never changes."""

from __future__ import annotations

from typing import Any, Final

from django.contrib.auth.models import Group, User
from django.db.models import Q

from integrations.scopes.account_scopes import stored_choice
from licensehub.configuration.changes import Kind, Plan, shown
from licensehub.configuration.reading import Entry
from licensehub.configuration.sections.profiles import chosen, names_of
from licensehub.site.accounts.role_changes import change_roles
from subscriptions.accounts import scope_changes

CHANGE: Final = "auth.change_user"


def dump() -> dict[str, Any]:
    """Superusers and programs are not in the file: they are made and changed elsewhere."""
    users = User.objects.filter(is_superuser=False, is_active=True, service_account=None).order_by("username")
    return {user.get_username(): _values(user) for user in users}


def _values(user: User) -> dict[str, Any]:
    return {
        "roles": sorted(user.groups.values_list("name", flat=True)),
        "profiles": names_of(stored_choice(user)),
    }


def plan(entry: Entry, plan: Plan) -> None:
    for username, one in entry.named().items():
        plan.guarded(_plan, username, one, plan)


def _plan(username: str, entry: Entry, plan: Plan) -> None:
    entry.only("roles", "profiles")
    user = User.objects.filter(username=username).first()
    if user is None:
        raise entry.wrong(_no_account(username))
    before = _values(user)
    if "roles" in entry.named():
        roles = entry.required("roles")
        known = list(Group.objects.order_by("name").values_list("name", flat=True))
        wanted: set[str] = {one.one_of(known) for one in roles.items()}
        add, remove = sorted(wanted - set(before["roles"])), sorted(set(before["roles"]) - wanted)
        if add or remove:
            parts = [f"{verb} {shown(names)}" for verb, names in (("give", add), ("take", remove)) if names]
            text = "; ".join(parts)

            def change(actor: User) -> None:
                change_roles(user, add=add, remove=remove, actor=actor)

            plan.add(Kind.CHANGE, f"{username}: roles", text, roles, CHANGE, change)
    if "profiles" in entry.named():
        _plan_profiles(user, before["profiles"], entry.required("profiles"), plan)


def _plan_profiles(user: User, before: Any, entry: Entry, plan: Plan) -> None:
    names, ids = chosen(entry)
    if names == before:
        return

    def choose(actor: User) -> None:
        scope_changes.choose(user, ids, actor=actor)

    text = f"{shown(before)} → {shown(names)}"
    plan.add(Kind.CHANGE, f"{user.get_username()}: profiles", text, entry, CHANGE, choose)


def _no_account(username: str) -> str:
    """The sentence for an unknown username. The account with this address may be another person than was meant."""
    others = User.objects.filter(Q(email__iexact=username) | Q(username__iexact=username)).order_by("pk")
    if names := ", ".join(f"“{user.get_username()}”" for user in others[:5]):
        return (
            f"There is no account with the username “{username}”. Do you mean {names}? Name accounts by their username."
        )
    return f"There is no account “{username}”. Invite the person first: licensehub users invite."
