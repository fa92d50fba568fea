"""The only place that hands mails to the mail server. `outbox` commits the intent before it."""

from __future__ import annotations

import logging
from smtplib import SMTPException
from types import TracebackType
from typing import Self

from django.core.mail import EmailMessage, EmailMultiAlternatives, get_connection
from django.core.mail.backends.base import BaseEmailBackend

from integrations.connectors.contract import english
from integrations.transaction_guard import refuse_inside_transaction
from licensehub.outbound.foreign_text import one_line
from licensehub.ui.invisible import visible, visible_page
from subscriptions.notices.mail_failures import Failure, failure_of, message_of

logger = logging.getLogger(__name__)

NOT_WRITTEN = english("The mail could not be written: {error}")


class NoServer(Exception):
    """The mail server takes no mail now. The text says why."""


class MailServer:
    """One connection for many mails: `with MailServer() as server`, then `ready` and `hand_over` for each mail."""

    def __init__(self) -> None:
        self._connection: BaseEmailBackend | None = None
        self._taken = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._close()

    def ready(self) -> None:
        """Open the connection, or a new one where the server has closed it. Raises NoServer.

        Call it before the intent is committed: a lost connection is then no doubt about a mail.
        """
        if self._connection is not None and _answers(self._connection):
            return
        self._close()
        connection = get_connection()
        try:
            connection.open()
            if smtp := getattr(connection, "connection", None):
                smtp.ehlo_or_helo_if_needed()
        except (SMTPException, OSError) as error:
            raise NoServer(message_of(error)) from error
        self._connection = connection

    def hand_over(self, message: EmailMessage) -> tuple[Failure, str] | None:
        """Hand over one mail. Returns None if the server took it, else the kind of failure and the server's words."""
        refuse_inside_transaction()
        if self._connection is None:
            raise NoServer(english("The connection to the mail server is not open."))
        # A name in it may have a line break, with which no mail has a subject.
        message.subject = " ".join(str(message.subject).split())
        show_invisible(message)
        try:
            self._connection.send_messages([message])
        except (SMTPException, OSError) as error:
            self._close()
            failure = failure_of(error)
            if failure == Failure.POLICY:
                # A server that takes our other mails refuses this one because of its reader.
                failure = Failure.REFUSED if self._taken else Failure.DOWN
            return failure, message_of(error)
        except ValueError as error:
            # Django refuses a header with a line break, and smtplib what it cannot encode. Nothing was sent.
            failure = Failure.REFUSED if self._taken else Failure.DOWN
            return failure, NOT_WRITTEN.format(error=one_line(str(error)))
        self._taken += 1
        return None

    def _close(self) -> None:
        """Close the connection. An error here does not change what the server took before."""
        connection, self._connection = self._connection, None
        try:
            if connection is not None:
                connection.close()
        except (SMTPException, OSError) as error:
            logger.info("The connection to the mail server could not be closed (%s)", error)


def show_invisible(message: EmailMessage) -> None:
    """Names in a mail are shown as on pages: with the codes of characters that nobody sees."""
    message.subject, message.body = visible(str(message.subject)), visible(str(message.body))
    if isinstance(message, EmailMultiAlternatives):
        pages = [(visible_page(str(page).encode()).decode(), kind) for page, kind in message.alternatives]
        message.alternatives = []
        for page, kind in pages:
            message.attach_alternative(page, str(kind))


def _answers(connection: BaseEmailBackend) -> bool:
    """Whether a kept connection still works. Servers close one after some mails, or after some idle seconds."""
    smtp = getattr(connection, "connection", None)
    if smtp is None:
        return True  # not SMTP: mails go to the log
    try:
        return bool(smtp.noop()[0] == 250)
    except (SMTPException, OSError):
        return False
