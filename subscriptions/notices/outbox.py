"""Hand over the mails of one table. A mail cannot be taken back, so it takes the same steps as a send.

The intent (`sending`) is committed before the mail server gets the mail, and the outcome after it. A mail that the
server did not take is tried again, a few times. A mail that it may have taken is never sent again.
"""

from __future__ import annotations

import logging
import time
from abc import ABC, abstractmethod
from datetime import timedelta
from typing import Generic, TypeVar

from celery.exceptions import SoftTimeLimitExceeded
from django.core.exceptions import ValidationError
from django.core.mail import EmailMessage
from django.core.validators import validate_email
from django.db import DatabaseError, transaction
from django.db.models import F, QuerySet

from integrations.connectors.contract import english
from integrations.mail_config import mail_problem
from licensehub import stopping
from licensehub.audit.actions import Action
from licensehub.database.clock import database_now
from subscriptions.models import NoticeState
from subscriptions.models.mail.notice import OutgoingMail
from subscriptions.notices.mail_failures import Failure
from subscriptions.notices.transport import NOT_WRITTEN, MailServer, NoServer

logger = logging.getLogger(__name__)

TASK_SECONDS = 120.0
# Much longer than one mail takes: each answer of the server takes EMAIL_TIMEOUT seconds at most.
LEASE = timedelta(minutes=15)
# The wait after each failed try; together they are longer than a weekend without a mail server.
BACKOFF = (timedelta(minutes=15), timedelta(hours=2), timedelta(hours=12), timedelta(hours=48))
MAX_TRIES = len(BACKOFF) + 1
# The delay of all mails while the server takes none.
RETRY_DELAY = timedelta(minutes=15)
# A question that was never tried, e.g. in a paused profile, must not keep its request waiting for ever. A mail to a
# colleague that is older than this is no longer useful.
MAX_TOTAL_WAIT = timedelta(days=7)

Mail = TypeVar("Mail", bound=OutgoingMail)


class Outbox(ABC, Generic[Mail]):
    """The mails of one table. A subclass knows which of them may be handed over, to whom, and what they say."""

    # The actions of the audit log for the intent, the hand-over, and a failure.
    sending: Action
    sent: Action
    failed: Action
    # Why a mail without an address fails.
    no_address: str

    @abstractmethod
    def claimable(self) -> QuerySet[Mail]:
        """Mails that are due and still wanted, where no switch stops mails. The guard of the intent."""

    @abstractmethod
    def next_mail(self) -> Mail | None:
        """The next mail to hand over; None if there is none."""

    @abstractmethod
    def address_of(self, mail: Mail) -> str:
        """The address of the reader today."""

    @abstractmethod
    def message_of(self, mail: Mail) -> EmailMessage | None:
        """The complete mail to `mail.email`. None if it is no longer useful."""

    @abstractmethod
    def record(self, action: Action, mail: Mail, **data: object) -> None:
        """Write the audit event, in the transaction of the change."""

    @abstractmethod
    def put_off(self, reason: str) -> None:
        """Postpone all due mails for RETRY_DELAY: the server takes none now. No try is counted.

        Nothing was sent, so no audit event is written.
        """

    def deliver_due(self, *, seconds: float = TASK_SECONDS) -> int:
        """Hand over the due mails, for about `seconds`. Several processes may run it. Returns how many."""
        handed = 0
        if why_not := mail_problem():
            # Mail is not set up: a mail that is only logged reaches nobody.
            self.put_off(why_not)
            return 0
        until = time.monotonic() + seconds
        with MailServer() as server:
            while not stopping.is_over(until) and (mail := self.next_mail()):
                mail.email = self.address_of(mail)
                if why_not := self._why_unusable(mail.email):
                    self.end(mail, to=NoticeState.FAILED, reason=why_not)
                    continue
                try:
                    server.ready()
                except NoServer as error:
                    self.put_off(str(error))
                    break
                taken, failure = self._deliver(mail, server)
                handed += taken
                if failure in (Failure.DOWN, Failure.DOUBT):
                    # A server that hangs, loses connections or refuses us would fail for everybody.
                    self.put_off(english("The mail server failed at the mail before this one."))
                    break
        return handed

    def _why_unusable(self, email: str) -> str:
        """Return why no mail can be sent to this address; empty if it can."""
        if not email.strip():
            return self.no_address
        try:
            validate_email(email)
        except ValidationError:
            return english("“{email}” is not an e-mail address.").format(email=email)
        return ""

    def _deliver(self, mail: Mail, server: MailServer) -> tuple[bool, Failure | None]:
        """Hand over one mail. Returns whether the server took it, and what failed.

        Neither if another process claimed it, or if it is no longer useful.
        """
        try:
            message = self.message_of(mail)
        except (SoftTimeLimitExceeded, DatabaseError):
            raise
        except Exception as error:
            # Otherwise it would be the next mail again and again, and hold up all the others.
            logger.exception("Mail %s cannot be written", mail.pk)
            reason = NOT_WRITTEN.format(error=type(error).__name__)
            self._again(mail, reason, after=2 * RETRY_DELAY, postponed=mail.postponed + 1)
            return False, None
        if message is None:
            _mine(mail).update(state=NoticeState.CANCELED)
            return False, None
        if not self.commit_intent(mail):
            return False, None
        if failed := server.hand_over(message):
            self._not_taken(mail, *failed)
            return False, failed[0]
        self.commit_sent(mail)
        return True, None

    def commit_intent(self, mail: Mail) -> bool:
        """Commit `sending`, with its audit event, if it is still due and wanted."""
        with transaction.atomic():
            rows = self.claimable().filter(pk=mail.pk, tries=mail.tries)
            values = {"email": mail.email, "tries": F("tries") + 1, "lease_until": database_now() + LEASE}
            if rows.update(state=NoticeState.SENDING, **values) != 1:
                return False
            # The number of the try also identifies this claim.
            mail.state, mail.tries = NoticeState.SENDING, mail.tries + 1
            self.record(self.sending, mail, **{"try": mail.tries})
        return True

    def commit_sent(self, mail: Mail) -> None:
        with transaction.atomic():
            if _mine(mail).update(state=NoticeState.SENT, sent_at=database_now(), lease_until=None, problem="") == 1:
                self.record(self.sent, mail)
            else:
                logger.warning("%s was handed over after its lease, and is in doubt", mail)

    def _not_taken(self, mail: Mail, failure: Failure, reason: str) -> None:
        if failure == Failure.DOUBT:
            self.end(mail, to=NoticeState.IN_DOUBT, reason=reason)
        elif failure == Failure.DOWN:
            # The failure is not about this person. It is due later than the others, so that another mail is first.
            self._again(mail, reason, after=2 * RETRY_DELAY, postponed=mail.postponed + 1)
        elif failure == Failure.REFUSED or mail.used_tries >= MAX_TRIES:
            self.end(mail, to=NoticeState.FAILED, reason=reason)
        else:
            self._again(mail, reason, after=BACKOFF[mail.used_tries - 1])

    def _again(self, mail: Mail, reason: str, *, after: timedelta, **columns: int) -> None:
        due_at = database_now() + after
        values = {"state": NoticeState.DUE, "due_at": due_at, "lease_until": None, "problem": reason, **columns}
        with transaction.atomic():
            if _mine(mail).update(**values) == 1:
                self.record(self.failed, mail, problem=reason, again_at=due_at.isoformat())

    def end(self, mail: Mail, *, to: NoticeState, reason: str) -> bool:
        """Stop trying this mail. False when its state has changed meanwhile."""
        with transaction.atomic():
            if _mine(mail).update(state=to, lease_until=None, problem=reason) != 1:
                return False
            self.record(self.failed, mail, problem=reason, doubt=to == NoticeState.IN_DOUBT)
        return True


def _mine(mail: Mail) -> QuerySet[Mail]:
    """The row, if its state and its tries are still those that this process read or wrote."""
    return type(mail)._default_manager.filter(pk=mail.pk, state=mail.state, tries=mail.tries)
