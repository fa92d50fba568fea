"""The choice of each person: a mail at once, one mail a day, or none. Only this person changes it."""

from __future__ import annotations

from collections.abc import Mapping

from django.contrib.auth.models import User
from django.db import transaction

from licensehub.audit.actions import Action
from licensehub.audit.log import record
from subscriptions.models import Delivery, NotificationChoice, NotificationKind
from subscriptions.notifications.kinds import KINDS


def choices_of(user: User) -> dict[NotificationKind, Delivery]:
    """The choice for each kind that this user may get, in the order of the page."""
    chosen = {row.kind: Delivery(row.delivery) for row in NotificationChoice.objects.filter(user=user)}
    return {name: chosen.get(name, kind.default) for name, kind in KINDS.items() if user.has_perm(kind.permission)}


def choices_for(kind: NotificationKind, users: list[int]) -> dict[int, Delivery]:
    """User id -> choice, for all of these users."""
    rows = NotificationChoice.objects.filter(kind=kind, user__in=users)
    chosen = {pk: Delivery(delivery) for pk, delivery in rows.values_list("user", "delivery")}
    return {pk: chosen.get(pk, KINDS[kind].default) for pk in users}


def choose(user: User, wanted: Mapping[NotificationKind, Delivery]) -> bool:
    """Store the user's own choices. Returns whether one has changed."""
    with transaction.atomic():
        User.objects.select_for_update().get(pk=user.pk)
        before = choices_of(user)
        changed = {name: value for name, value in wanted.items() if name in before and before[name] != value}
        for name, value in changed.items():
            NotificationChoice.objects.update_or_create(user=user, kind=name, defaults={"delivery": value})
        if changed:
            data = {name.value: {"from": before[name].value, "to": value.value} for name, value in changed.items()}
            record(Action.NOTIFICATIONS_CHOSEN, actor=user, target=user, data=data)
    return bool(changed)
