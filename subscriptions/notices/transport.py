"""The one place that hands a mail to the mail server. `delivery` and `notifications` commit the intent before it."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from smtplib import SMTPException

from django.core.mail import EmailMessage, get_connection
from django.core.mail.backends.base import BaseEmailBackend

from integrations.transaction_guard import refuse_inside_transaction
from subscriptions.notices.mail_failures import Failure, failure_of, message_of

logger = logging.getLogger(__name__)


class NoServer(Exception):
    """The mail server takes no mail now. The text says why."""


@contextmanager
def connected() -> Iterator[BaseEmailBackend]:
    """A connection to the mail server. Raises NoServer."""
    connection = get_connection()
    try:
        connection.open()
    except (SMTPException, OSError) as error:
        raise NoServer(message_of(error)) from error
    try:
        yield connection
    finally:
        _close(connection)


def hand_over(connection: BaseEmailBackend, message: EmailMessage) -> tuple[Failure, str] | None:
    """Returns None when the server took the mail, else what failed, and the server's words."""
    refuse_inside_transaction()
    try:
        connection.send_messages([message])
    except (SMTPException, OSError) as error:
        return failure_of(error), message_of(error)
    return None


def _close(connection: BaseEmailBackend) -> None:
    """Close the connection. An error here does not change what the server took before."""
    try:
        connection.close()
    except (SMTPException, OSError) as error:
        logger.info("The connection to the mail server could not be closed (%s)", error)
