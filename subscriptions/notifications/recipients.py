"""Find the recipients of each notification: every person once, in the way that they chose, or their deputy."""

from __future__ import annotations

from typing import NamedTuple

from django.contrib.auth.models import User
from django.db import transaction
from django.db.models import QuerySet

from integrations.models import IntegrationProfile
from integrations.scopes.account_scopes import covering
from licensehub.database.clock import database_now
from licensehub.translations.stored import as_evidence
from subscriptions.models import (
    Delivery,
    Notification,
    NotificationKind,
    NotificationMail,
    NotificationRecipient,
)
from subscriptions.notifications.choices import choices_for
from subscriptions.notifications.deputies import away_today, stand_in
from subscriptions.notifications.kinds import KINDS, audience_of, with_address


class Recipient(NamedTuple):
    """The way in which one person is notified. `instead_of` is the id of the person whose deputy this is."""

    delivery: Delivery
    instead_of: int | None = None


def update() -> int:
    """Open new notifications, end those that are no longer true, and add recipients to open ones.

    A person who gets the right to decide later is notified then, if the notification is still open. Returns how many
    people were added.
    """
    with as_evidence():
        for name, kind in KINDS.items():
            _open_and_end(name, {row.key: row for row in kind.find()})
    return sum(_address(row) for row in Notification.objects.filter(ended_at=None))


def _open_and_end(kind: NotificationKind, found: dict[str, Notification]) -> None:
    rows = Notification.objects.filter(kind=kind, ended_at=None)
    known = set(rows.values_list("key", flat=True))
    # Another sweep may do the same. The constraint lets only one of them insert the row.
    Notification.objects.bulk_create([row for key, row in found.items() if key not in known], ignore_conflicts=True)
    if kind != NotificationKind.EXPIRED and known - set(found):
        rows.filter(key__in=known - set(found)).update(ended_at=database_now())


def _address(notification: Notification) -> int:
    """Add each new recipient; with a mail if the recipient wants it at once."""
    known = set(notification.recipients.values_list("user", flat=True))
    missing = {pk: how for pk, how in recipients_of(notification).items() if pk not in known}
    once = notification.kind == NotificationKind.EXPIRED
    if not missing and not once:
        return 0
    with transaction.atomic():
        rows = Notification.objects.select_for_update().filter(pk=notification.pk, ended_at=None)
        if rows.first() is None:
            return 0
        known = set(notification.recipients.values_list("user", flat=True))
        for pk, how in missing.items():
            if pk not in known:
                mail = NotificationMail.objects.create(user_id=pk) if how.delivery == Delivery.SINGLE else None
                NotificationRecipient.objects.create(
                    notification=notification, user_id=pk, instead_of_id=how.instead_of, mail=mail
                )
        if once:
            rows.update(ended_at=database_now())
    return len(missing)


def recipients_of(notification: Notification) -> dict[int, Recipient]:
    """User id -> the way, for everybody who should know it now and has not switched it off."""
    return _reached(NotificationKind(notification.kind), audience_of(notification))


def recipients_of_errors(kind: NotificationKind, profile: IntegrationProfile) -> dict[int, Recipient]:
    """User id -> the way, for everybody who would get the next error of this profile.

    The kind is one that everybody with its permission gets, e.g. a connection that does not work.
    """
    return _reached(kind, covering(with_address(KINDS[kind].permission), profile.pk))


def _reached(kind: NotificationKind, people: QuerySet[User]) -> dict[int, Recipient]:
    """A deputy is notified in the way that the person who is away chose. A user who would get both a mail at once and
    a digest gets the mail at once.
    """
    audience = list(people.order_by("pk").values_list("pk", flat=True))
    choices = choices_for(kind, audience)
    away = away_today() if KINDS[kind].for_deputy else {}
    found: dict[int, Recipient] = {}
    for pk in audience:
        who = stand_in(pk, away, set(audience))
        how = Recipient(choices[pk], pk if who != pk else None)
        if how.delivery == Delivery.OFF:
            continue
        if who not in found or (found[who].delivery, how.delivery) == (Delivery.DIGEST, Delivery.SINGLE):
            found[who] = how
    return found
