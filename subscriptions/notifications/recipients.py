"""From what holds now to who is told: each person once, in the way they chose, or their deputy."""

from __future__ import annotations

from typing import NamedTuple

from django.db import transaction
from django.utils import timezone

from subscriptions.models import (
    Delivery,
    Notification,
    NotificationKind,
    NotificationMail,
    NotificationRecipient,
)
from subscriptions.notifications.choices import choices_for
from subscriptions.notifications.deputies import away_today, stand_in
from subscriptions.notifications.kinds import KINDS


class Told(NamedTuple):
    """How one person is told. `instead_of` is the id of the person for whom they are the deputy."""

    delivery: Delivery
    instead_of: int | None = None


def update() -> int:
    """Open what holds and is not told yet, end what holds no more, and address what is open. Returns how many people.

    A person who gets the right to decide later is told then, as long as it holds.
    """
    for name, kind in KINDS.items():
        _open_and_end(name, {row.key: row for row in kind.holds()})
    return sum(_address(row) for row in Notification.objects.filter(ended_at=None))


def _open_and_end(kind: NotificationKind, holding: dict[str, Notification]) -> None:
    rows = Notification.objects.filter(kind=kind, ended_at=None)
    known = set(rows.values_list("key", flat=True))
    # Another sweep may do the same: the constraint lets one of them.
    Notification.objects.bulk_create([row for key, row in holding.items() if key not in known], ignore_conflicts=True)
    if kind != NotificationKind.EXPIRED and known - set(holding):
        rows.filter(key__in=known - set(holding)).update(ended_at=timezone.now())


def _address(notification: Notification) -> int:
    """Write down each new recipient, with the mail where it is to be sent at once."""
    told = set(notification.recipients.values_list("user", flat=True))
    to_tell = {pk: how for pk, how in whom(notification).items() if pk not in told}
    once = notification.kind == NotificationKind.EXPIRED
    if not to_tell and not once:
        return 0
    with transaction.atomic():
        rows = Notification.objects.select_for_update().filter(pk=notification.pk, ended_at=None)
        if rows.first() is None:
            return 0
        told = set(notification.recipients.values_list("user", flat=True))
        for pk, how in to_tell.items():
            if pk not in told:
                mail = NotificationMail.objects.create(user_id=pk) if how.delivery == Delivery.SINGLE else None
                NotificationRecipient.objects.create(
                    notification=notification, user_id=pk, instead_of_id=how.instead_of, mail=mail
                )
        if once:
            rows.update(ended_at=timezone.now())
    return len(to_tell)


def whom(notification: Notification) -> dict[int, Told]:
    """User id -> how, for everybody who should know it now and has not switched it off.

    A deputy is told as the person who is away chose. Where both count, at once counts more than a digest.
    """
    kind = KINDS[NotificationKind(notification.kind)]
    audience = list(kind.audience(notification).order_by("pk").values_list("pk", flat=True))
    choices = choices_for(NotificationKind(notification.kind), audience)
    away = away_today() if kind.for_deputy else {}
    found: dict[int, Told] = {}
    for pk in audience:
        who = stand_in(pk, away, set(audience))
        how = Told(choices[pk], pk if who != pk else None)
        if how.delivery == Delivery.OFF:
            continue
        if who not in found or (found[who].delivery, how.delivery) == (Delivery.DIGEST, Delivery.SINGLE):
            found[who] = how
    return found
