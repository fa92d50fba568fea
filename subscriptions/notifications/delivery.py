"""Hand over the mails to colleagues, in the same steps as the notices: intent, hand-over, outcome.

A mail that the server did not take is tried again. A mail that it may have taken is never sent again. Right before the
hand-over, `mail.still_wanted` decides what the mail says.
"""

from __future__ import annotations

import logging
import time
from datetime import timedelta

from django.core.exceptions import ValidationError
from django.core.validators import validate_email
from django.db import models, transaction
from django.db.models import Exists, F, QuerySet
from django.utils import timezone

from integrations.mail_config import mail_problem
from licensehub.audit.actions import Action
from licensehub.audit.log import record_many
from subscriptions.models import NoticeState, NotificationMail
from subscriptions.notices.delivery import BACKOFF, LEASE, MAX_TRIES, RETRY_DELAY, TASK_SECONDS
from subscriptions.notices.mail_failures import Failure
from subscriptions.notices.transport import MailServer, NoServer
from subscriptions.notifications.mail import mail_for
from subscriptions.reclaims.switches import Operation, control_allowing

logger = logging.getLogger(__name__)

# A mail that is older than this is no longer useful.
MAX_TOTAL_WAIT = timedelta(days=7)


def anything_due() -> bool:
    return _claimable().exists()


def deliver_due(*, seconds: float = TASK_SECONDS) -> int:
    """Hand over the due mails, for about `seconds`. Several processes may run it. Returns how many."""
    handed = 0
    if why_not := mail_problem():
        _all_later(why_not)
        return 0
    until = time.monotonic() + seconds
    with MailServer() as server:
        while time.monotonic() < until and (mail := _claimable().select_related("user").first()):
            if why_not := _unusable(mail.user.email):
                _end(mail, to=NoticeState.FAILED, reason=why_not)
                continue
            try:
                server.ready()
            except NoServer as error:
                _all_later(str(error))
                break
            taken, failure = _deliver(mail, server)
            handed += taken
            if failure in (Failure.DOWN, Failure.DOUBT):
                _all_later("The mail server failed at the mail before this one.")
                break
    return handed


def _claimable() -> QuerySet[NotificationMail]:
    """The due mails. None of them if the database may be a restored backup: they may have been sent before."""
    due = NotificationMail.objects.filter(state=NoticeState.DUE, due_at__lte=timezone.now())
    return due.filter(Exists(control_allowing(Operation.ASK)))


def _unusable(email: str) -> str:
    try:
        validate_email(email.strip())
    except ValidationError:
        return f"“{email}” is not an e-mail address." if email.strip() else "The account has no e-mail address."
    return ""


def _deliver(mail: NotificationMail, server: MailServer) -> tuple[bool, Failure | None]:
    """Hand over one mail. Returns whether the server took it, and what failed."""
    message = mail_for(mail)
    if message is None:
        _mine(mail).update(state=NoticeState.CANCELED)
        return False, None
    if not _commit_intent(mail):
        return False, None
    if failed := server.hand_over(message):
        _failed(mail, *failed)
        return False, failed[0]
    with transaction.atomic():
        if _mine(mail).update(state=NoticeState.SENT, sent_at=timezone.now(), lease_until=None, problem="") == 1:
            _record(Action.NOTIFICATION_SENT, mail)
        else:
            logger.warning("%s was handed over after its lease, and is in doubt", mail)
    return True, None


def _commit_intent(mail: NotificationMail) -> bool:
    """Commit `sending`, with its audit events, if it is still due."""
    with transaction.atomic():
        rows = _claimable().filter(pk=mail.pk, tries=mail.tries)
        values = {"email": mail.user.email.strip(), "lease_until": timezone.now() + LEASE}
        if rows.update(state=NoticeState.SENDING, tries=F("tries") + 1, **values) != 1:
            return False
        # The number of tries identifies this claim.
        mail.state, mail.tries = NoticeState.SENDING, mail.tries + 1
        _record(Action.NOTIFICATION_SENDING, mail, **{"try": mail.tries})
    return True


def _mine(mail: NotificationMail) -> QuerySet[NotificationMail]:
    return NotificationMail.objects.filter(pk=mail.pk, state=mail.state, tries=mail.tries)


def _failed(mail: NotificationMail, failure: Failure, reason: str) -> None:
    if failure == Failure.DOUBT:
        _end(mail, to=NoticeState.IN_DOUBT, reason=reason)
    elif failure == Failure.DOWN:
        # The failure is not about this person. The mail is due later than the others, so that another one is first.
        _again(mail, reason, after=2 * RETRY_DELAY, postponed=mail.postponed + 1)
    elif failure == Failure.REFUSED or mail.tries - mail.postponed >= MAX_TRIES:
        _end(mail, to=NoticeState.FAILED, reason=reason)
    else:
        _again(mail, reason, after=BACKOFF[mail.tries - mail.postponed - 1])


def _again(mail: NotificationMail, reason: str, *, after: timedelta, **columns: int) -> None:
    due_at = timezone.now() + after
    values = {"state": NoticeState.DUE, "due_at": due_at, "lease_until": None, "problem": reason, **columns}
    with transaction.atomic():
        if _mine(mail).update(**values) == 1:
            _record(Action.NOTIFICATION_FAILED, mail, problem=reason, again_at=due_at.isoformat())


def _all_later(reason: str) -> None:
    """Postpone all due mails: the server takes none now. Nothing was sent, so no audit event is written."""
    _claimable().update(due_at=timezone.now() + RETRY_DELAY, problem=reason)


def _end(mail: NotificationMail, *, to: NoticeState, reason: str) -> bool:
    with transaction.atomic():
        if _mine(mail).update(state=to, lease_until=None, problem=reason) != 1:
            return False
        _record(Action.NOTIFICATION_FAILED, mail, problem=reason, doubt=to == NoticeState.IN_DOUBT)
    return True


def _record(action: Action, mail: NotificationMail, **data: object) -> None:
    """Write one audit event for each notification in the mail, at its request or profile."""
    targets: list[tuple[models.Model, dict[str, object]]] = []
    for row in mail.recipients.select_related("notification__request", "notification__profile", "instead_of"):
        instead = {"deputy_of": row.instead_of.get_username()} if row.instead_of else {}
        details = {"kind": row.notification.kind, "to": mail.user.get_username(), **instead, **data}
        targets.append((row.notification.request or row.notification.profile or mail.user, details))
    record_many(action, actor=None, targets=targets)


def repair() -> None:
    """Mark abandoned mails as in doubt, and end those that could not be handed over for days."""
    lost = NotificationMail.objects.filter(state=NoticeState.SENDING, lease_until__lt=timezone.now())
    for mail in lost.select_related("user"):
        _end(mail, to=NoticeState.IN_DOUBT, reason="The process was ended while it handed the mail over.")
    old = NotificationMail.objects.filter(state=NoticeState.DUE, created_at__lte=timezone.now() - MAX_TOTAL_WAIT)
    for mail in old.select_related("user"):
        reason = f"It could not be handed over for {MAX_TOTAL_WAIT.days} days. {mail.problem}".strip()
        _end(mail, to=NoticeState.FAILED, reason=reason)
