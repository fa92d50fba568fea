"""Hand over the mails to colleagues. Right before the hand-over, `mail.still_wanted` decides what the mail says."""

from __future__ import annotations

from django.core.mail import EmailMessage
from django.db import models
from django.db.models import Exists, QuerySet
from django.utils.translation import override

from integrations.connectors.contract import english
from licensehub.audit.actions import Action
from licensehub.audit.log import record_many
from licensehub.database.clock import database_now
from subscriptions.accounts.settings import mail_language_of
from subscriptions.models import NoticeState, NotificationMail
from subscriptions.notices.outbox import MAX_TOTAL_WAIT, RETRY_DELAY, TASK_SECONDS, Outbox
from subscriptions.notifications.mail import mail_for
from subscriptions.reclaims.switches import Operation, control_allowing

PROCESS_ENDED = english("The process was ended while it handed the mail over.")
TOO_LONG = english("It could not be handed over for {days} days. {problem}")


class NotificationMails(Outbox[NotificationMail]):
    """The mails to all colleagues."""

    sending, sent, failed = Action.NOTIFICATION_SENDING, Action.NOTIFICATION_SENT, Action.NOTIFICATION_FAILED
    no_address = english("The account has no e-mail address.")

    def claimable(self) -> QuerySet[NotificationMail]:
        """The due mails. None of them if the database may be a restored backup: they may have been sent before."""
        due = NotificationMail.objects.filter(state=NoticeState.DUE, due_at__lte=database_now())
        return due.filter(Exists(control_allowing(Operation.ASK)))

    def next_mail(self) -> NotificationMail | None:
        return self.claimable().select_related("user").first()

    def address_of(self, mail: NotificationMail) -> str:
        return mail.user.email.strip()

    def message_of(self, mail: NotificationMail) -> EmailMessage | None:
        with override(mail_language_of(mail.user)):
            return mail_for(mail)

    def record(self, action: Action, mail: NotificationMail, **data: object) -> None:
        """Write one audit event for each notification in the mail, at its request or profile."""
        targets: list[tuple[models.Model, dict[str, object]]] = []
        for row in mail.recipients.select_related("notification__request", "notification__profile", "instead_of"):
            instead = {"deputy_of": row.instead_of.get_username()} if row.instead_of else {}
            details = {"kind": row.notification.kind, "to": mail.user.get_username(), **instead, **data}
            targets.append((row.notification.request or row.notification.profile or mail.user, details))
        record_many(action, actor=None, targets=targets)

    def put_off(self, reason: str) -> None:
        self.claimable().update(due_at=database_now() + RETRY_DELAY, problem=reason)


def anything_due() -> bool:
    return NotificationMails().claimable().exists()


def deliver_due(*, seconds: float = TASK_SECONDS) -> int:
    """Hand over the due mails, for about `seconds`. Several processes may run it. Returns how many."""
    return NotificationMails().deliver_due(seconds=seconds)


def repair() -> None:
    """Mark abandoned mails as in doubt, and end those that could not be handed over for days."""
    lost = NotificationMail.objects.filter(state=NoticeState.SENDING, lease_until__lt=database_now())
    for mail in lost.select_related("user"):
        NotificationMails().end(mail, to=NoticeState.IN_DOUBT, reason=PROCESS_ENDED)
    old = NotificationMail.objects.filter(state=NoticeState.DUE, created_at__lte=database_now() - MAX_TOTAL_WAIT)
    for mail in old.select_related("user"):
        reason = TOO_LONG.format(days=MAX_TOTAL_WAIT.days, problem=mail.problem).strip()
        NotificationMails().end(mail, to=NoticeState.FAILED, reason=reason)
