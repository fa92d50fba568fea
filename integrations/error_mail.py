"""Sends one mail each time a connection goes into Error, to the people who can repair it.

`mail_due_at` is cleared and committed before the mail is sent, so no mail is sent twice. When the mail server refuses
a mail, LicenseHub tries again a few times.
"""

from __future__ import annotations

import logging
from datetime import timedelta
from smtplib import SMTPException

from django.conf import settings
from django.contrib.auth.models import Permission, User
from django.core.mail import EmailMessage
from django.db import transaction
from django.db.models import Q
from django.urls import reverse
from django.utils import timezone

from integrations.models import Connection, ConnectionState
from licensehub.audit.actions import Action
from licensehub.audit.log import record

logger = logging.getLogger(__name__)

MAX_TRIES = 5
RETRY_DELAY = timedelta(minutes=10)


def send_due_mails() -> int:
    """Send all mails that are due. Returns how many were sent."""
    due = Connection.objects.filter(state=ConnectionState.ERROR, mail_due_at__lte=timezone.now())
    return sum(_send(connection) for connection in due.select_related("profile"))


def _send(connection: Connection) -> bool:
    mine = Connection.objects.filter(pk=connection.pk, mail_due_at=connection.mail_due_at)
    if mine.update(mail_due_at=None, mail_tries=connection.mail_tries + 1) != 1:
        return False
    recipients = people_who_can_repair()
    if not recipients:
        logger.warning("%s is in error, and no operator has an e-mail address", connection)
        return False
    try:
        _mail(connection, recipients).send()
    except (SMTPException, OSError) as error:
        _later(connection, error)
        return False
    with transaction.atomic():
        record(Action.CONNECTION_MAILED, actor=None, target=connection, data={"recipients": len(recipients)})
    return True


def _later(connection: Connection, error: Exception) -> None:
    tries = connection.mail_tries + 1
    logger.warning("The mail about %s was not sent (%s), try %d", connection, type(error).__name__, tries)
    if tries < MAX_TRIES:
        still = Connection.objects.filter(pk=connection.pk, state=ConnectionState.ERROR, mail_due_at=None)
        still.update(mail_due_at=timezone.now() + RETRY_DELAY)


def people_who_can_repair() -> list[str]:
    """E-mail addresses of everybody who may change connections."""
    permission = Permission.objects.get(content_type__app_label="integrations", codename="change_connection")
    may = Q(is_superuser=True) | Q(user_permissions=permission) | Q(groups__permissions=permission)
    people = User.objects.filter(may, is_active=True).exclude(email="")
    return sorted(set(people.values_list("email", flat=True)))


def _mail(connection: Connection, recipients: list[str]) -> EmailMessage:
    page = settings.PUBLIC_URL + reverse("admin:integrations_connection_change", args=[connection.pk])
    body = (
        f"{connection} has not worked since {connection.state_changed_at:%Y-%m-%d %H:%M} UTC.\n\n"
        f"{connection.error}\n\n"
        "Until it works again, nothing is sent to the vendor. Approved reclaims wait and are not lost.\n\n"
        f"{page}\n\n"
        "This mail is sent once. LicenseHub sends the next one only after the connection has worked again."
    )
    return EmailMessage(subject=f"LicenseHub: {connection} is in error", body=body, bcc=recipients)
