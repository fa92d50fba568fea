"""Change the roles of an account, and invite people, for callers without a form: the API and `licensehub apply`."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping

from django.contrib.auth.models import Group, User
from django.core.exceptions import ValidationError
from django.db import transaction
from django.utils.translation import gettext as _

from licensehub.site.accounts import account_changes, invitations
from subscriptions.accounts import persons, rights
from subscriptions.errors import Refused


def groups_named(names: Iterable[str]) -> list[Group]:
    """The roles with these names. Raises Refused for a name that no role has."""
    wanted = set(names)
    found = list(Group.objects.filter(name__in=wanted).order_by("name"))
    if unknown := sorted(wanted - {group.name for group in found}):
        known = ", ".join(Group.objects.order_by("name").values_list("name", flat=True))
        raise Refused(_("There is no role “{role}”. The roles are: {known}.").format(role=unknown[0], known=known))
    return found


def change_roles(user: User, *, add: Collection[str] = (), remove: Collection[str] = (), actor: User) -> bool:
    """Give and take roles. A right to decide waits, see `rights_changes`. Returns whether anything differs.

    Raises Refused.
    """
    if user.is_superuser and not actor.is_superuser:
        raise Refused(_("Only a superuser changes the account of a superuser."))
    given, taken = groups_named(add), groups_named(remove)
    with transaction.atomic():
        locked = User.objects.select_for_update().get(pk=user.pk)
        before = set(locked.groups.all())
        wanted = (before | set(given)) - set(taken)
        if wanted == before:
            return False
        rights.refuse_both(list(wanted))
        facts = account_changes.facts_of(locked)
        locked.groups.set(wanted)
        account_changes.record_changes(locked, facts, actor=actor)
    return True


def create_invited(values: Mapping[str, str], roles: Iterable[str], *, actor: User) -> User:
    """Make the account of a colleague, by the form of the screens. The caller mails the link with `invitations.send`.

    `values`: first_name, last_name, email. Raises ValidationError and Refused.
    """
    form = invitations.InvitationForm({**values, "groups": [group.pk for group in groups_named(roles)]})
    if not form.is_valid():
        raise ValidationError({name: [str(text) for text in texts] for name, texts in form.errors.items()})
    with transaction.atomic():
        user: User = form.save()
        persons.find_everywhere(user)
        account_changes.record_created(user, actor=actor)
    return user
