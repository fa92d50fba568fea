"""The mail to a colleague: one thing, or a digest of several. Plain text."""

from __future__ import annotations

from django.conf import settings
from django.core.mail import EmailMessage
from django.urls import reverse
from django.utils import translation
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from licensehub.ui.formatting import day, name_of, number
from subscriptions.accounts.settings import mail_language_of
from subscriptions.models import (
    Delivery,
    Deputy,
    NotificationKind,
    NotificationMail,
    NotificationRecipient,
)
from subscriptions.notices.mail import plain_mail
from subscriptions.notifications.choices import choices_for
from subscriptions.notifications.kinds import KINDS, audience_of
from subscriptions.notifications.texts import Item, item_for


def mail_for(mail: NotificationMail) -> EmailMessage | None:
    """The mail with the facts that are still true and that this person should know. None when there are none.

    It is in the language of this person.
    """
    rows = still_wanted(mail)
    if not rows:
        return None
    with translation.override(mail_language_of(mail.user)):
        return _mail(mail, rows)


def _mail(mail: NotificationMail, rows: list[NotificationRecipient]) -> EmailMessage:
    items = [(row, item_for(row.notification)) for row in rows]
    subject = items[0][1].subject
    if mail.digest_on is not None:
        count = len(items)
        said = ngettext("LicenseHub, {day}: {count} thing to know", "LicenseHub, {day}: {count} things to know", count)
        subject = said.format(day=day(mail.digest_on), count=number(count))
    parts = [_part(row, item, with_subject=mail.digest_on is not None) for row, item in items]
    page = settings.PUBLIC_URL + reverse("admin:subscriptions_notificationchoice_changelist")
    body = "\n\n\n".join([*parts, _("Choose which mails you get: {page}").format(page=page) + "\n"])
    return plain_mail(mail.user.email, subject, body)


def _part(row: NotificationRecipient, item: Item, *, with_subject: bool) -> str:
    why = str(KINDS[NotificationKind(row.notification.kind)].why)
    if row.instead_of:
        ends = Deputy.objects.filter(user=row.instead_of, deputy=row.user).order_by("-ends").first()
        said = _("{why}, as the deputy of {name} until {day}") if ends else _("{why}, as the deputy of {name}")
        why = said.format(why=why, name=name_of(row.instead_of), day=day(ends.ends) if ends else "")
    heading = f"{item.subject}\n\n" if with_subject else ""
    since = _("You get this because {why}.").format(why=why)
    return f"{heading}{item.text}\n\n{item.link}\n\n{since}"


def still_wanted(mail: NotificationMail) -> list[NotificationRecipient]:
    """The notifications of this mail that are still true, and that the person may know and has not switched off.

    A mail that says that a request ends soon does not say that it waits, too.
    """
    rows = mail.recipients.select_related(
        "notification__request__profile", "notification__profile", "instead_of", "user"
    )
    wanted = [row for row in rows if _is_wanted(row)]
    ending = {row.notification.request_id for row in wanted if row.notification.kind == NotificationKind.ENDING}
    return [
        row
        for row in wanted
        if row.notification.kind != NotificationKind.OPENED or row.notification.request_id not in ending
    ]


def _is_wanted(row: NotificationRecipient) -> bool:
    kind = NotificationKind(row.notification.kind)
    if not audience_of(row.notification).filter(pk=row.user_id).exists():
        return False
    whose = row.instead_of_id or row.user_id
    return choices_for(kind, [whose])[whose] != Delivery.OFF
