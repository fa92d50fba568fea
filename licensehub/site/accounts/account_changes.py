"""Changes on the page of an account: those that wait for a second admin, and the events with before and after."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from django.contrib.auth.hashers import make_password
from django.contrib.auth.models import Group, User
from django.db import transaction
from django.utils.translation import gettext as _

from licensehub.audit.actions import Action
from licensehub.audit.log import Actor, record
from licensehub.sign_in.factors import credentials
from subscriptions.accounts import rights, rights_changes
from subscriptions.models import ChangeKind

# The fields of an account -> their names in an event.
FIELDS = {
    "username": "username",
    "email": "email",
    "first_name": "first_name",
    "last_name": "last_name",
    "is_active": "active",
    "is_staff": "staff",
    "is_superuser": "superuser",
}
Facts = dict[str, Any]


def facts_of(user: User) -> Facts:
    """The facts of the stored account, for `record_changes`."""
    stored = User.objects.get(pk=user.pk)
    single = stored.user_permissions.values_list("content_type__app_label", "codename").order_by("pk")
    return {name: getattr(stored, field) for field, name in FIELDS.items()} | {
        "roles": rights_changes.role_names(stored),
        "rights": [".".join(names) for names in single],
    }


def hold_back(user: User, *, actor: User) -> list[str]:
    """Take the new address of an account that decides, and a new superuser status, out of this unsaved account, and ask
    for them. Returns what to tell the admin. Raises NotActionable.
    """
    stored, told = User.objects.get(pk=user.pk), []
    if user.email != stored.email and rights.is_watched(stored):
        rights_changes.ask(stored, ChangeKind.ADDRESS, actor=actor, before=stored.email, after=user.email)
        told.append(
            _(
                "The address stays {before} until a second admin confirms the new one. “Changes of rights” says "
                "whether it also takes effect after a day without a confirmation."
            ).format(before=stored.email or "–")
        )
        user.email = stored.email
    if user.is_superuser and not stored.is_superuser:
        rights_changes.ask(stored, ChangeKind.SUPERUSER, actor=actor)
        told.append(
            _(
                "The superuser status waits until a second admin confirms it. “Changes of rights” says whether it "
                "also takes effect after a day without a confirmation."
            )
        )
        user.is_superuser = False
    return told


def set_password(user: User, password: str | None, *, actor: User) -> str:
    """An admin sets the password of another account. Returns what to tell the admin. Raises NotActionable.

    None: the account has no password any more. That lets nobody in, so it does not wait.
    """
    hashed = make_password(password)
    if password is not None and rights.is_watched(user):
        rights_changes.ask(user, ChangeKind.PASSWORD, actor=actor, password=hashed)
        return _(
            "The old password stays until a second admin confirms the new one. “Changes of rights” says whether it "
            "also takes effect after a day without a confirmation."
        )
    with transaction.atomic():
        user.password = hashed
        user.save(update_fields=["password"])
        if password is None:
            changed = {"before": {"password": True}, "after": {"password": False}}
            record(Action.USER_CHANGED, actor=actor, target=user, data=changed)
        else:
            data = {credentials.ONE: credentials.of_password(user)}
            record(Action.USER_PASSWORD_RESET, actor=actor, target=user, data=data)
    return _("The password was changed.")


def record_changes(user: User, before: Facts, *, actor: Actor) -> None:
    """Write the events of what differs from `before`, let new rights wait, and end those that are lost."""
    after = facts_of(user)
    changed = [name for name in before if name != "roles" and before[name] != after[name]]
    if changed:
        data = {
            "before": {name: before[name] for name in changed},
            "after": {name: after[name] for name in changed},
        }
        record(Action.USER_CHANGED, actor=actor, target=user, data=data)
    if before["roles"] != after["roles"]:
        rights_changes.record_roles(user, before["roles"], actor=actor)
    rights_changes.follow(actor=actor, accounts=User.objects.filter(pk=user.pk))


def record_created(user: User, *, actor: Actor) -> None:
    facts = facts_of(user)
    record(Action.USER_CREATED, actor=actor, target=user, data={"after": facts, "roles": facts["roles"]})
    rights_changes.follow(actor=actor, accounts=User.objects.filter(pk=user.pk))


def rights_of_role(group: Group) -> list[str]:
    names = group.permissions.values_list("content_type__app_label", "codename").order_by("pk")
    return [".".join(name) for name in names]


def record_role(group: Group, before: Iterable[str], *, actor: Actor) -> None:
    """Write the event of a role whose rights have changed, and let the rights of its accounts wait."""
    old, new = list(before), rights_of_role(group)
    if old != new:
        data = {
            "before": old,
            "after": new,
            "added": sorted(set(new) - set(old)),
            "removed": sorted(set(old) - set(new)),
        }
        record(Action.ROLE_CHANGED, actor=actor, target=group, data=data)
    rights_changes.follow(actor=actor)
