"""Sends one mail when protections cover nobody any more, to the people who may end them.

`lost_mail_due_at` is cleared and committed before the mail is sent, so no mail is sent twice.
"""

from __future__ import annotations

import logging
from datetime import timedelta
from smtplib import SMTPException

from django.conf import settings
from django.core.mail import EmailMessage
from django.db import transaction
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import ngettext

from integrations.error_mail import addresses_of_people_who_may
from integrations.models import IntegrationProfile
from licensehub.audit.actions import Action
from licensehub.audit.log import record
from subscriptions.models import Protection
from subscriptions.models.protection import ProtectionQuerySet

logger = logging.getLogger(__name__)

RETRY_DELAY = timedelta(minutes=10)
# Protections named in the mail; the others are counted.
NAMED = 20


def send_due_mails() -> int:
    """Send all mails that are due, one for each profile. Returns how many were sent."""
    due = Protection.objects.lost().filter(lost_mail_due_at__lte=timezone.now())
    profiles = IntegrationProfile.objects.filter(pk__in=due.order_by().values("profile"))
    return sum(_send(profile, due.of(profile.pk)) for profile in profiles)


def _send(profile: IntegrationProfile, due: ProtectionQuerySet) -> bool:
    ids = list(due.values_list("pk", flat=True))
    mine = Protection.objects.filter(pk__in=ids, lost_mail_due_at__isnull=False)
    if not ids or mine.update(lost_mail_due_at=None) != len(ids):
        return False  # another process sends it
    lost = list(Protection.objects.filter(pk__in=ids).select_related("profile"))
    recipients = addresses_of_people_who_may("subscriptions", "change_protection")
    if not recipients:
        logger.warning("Protections of %s cover nobody any more, and nobody who may end them has an address", profile)
        return False
    try:
        _mail(profile, lost, recipients).send()
    except (SMTPException, OSError) as error:
        logger.warning("The mail about protections of %s was not sent (%s)", profile, type(error).__name__)
        Protection.objects.lost().filter(pk__in=ids).update(lost_mail_due_at=timezone.now() + RETRY_DELAY)
        return False
    with transaction.atomic():
        data = {"recipients": len(recipients), "protections": len(lost)}
        record(Action.PROTECTION_LOSS_MAILED, actor=None, target=profile, data=data)
    return True


def _mail(profile: IntegrationProfile, lost: list[Protection], recipients: list[str]) -> EmailMessage:
    count = len(lost)
    said = ngettext("{} protection covers nobody any more", "{} protections cover nobody any more", count).format(count)
    named = [f"- {one.scope_label} (covered {one.covered}; owner {one.owner})" for one in lost[:NAMED]]
    if count > NAMED:
        named.append(f"- and {count - NAMED} more")
    page = settings.PUBLIC_URL + reverse("admin:subscriptions_protection_changelist")
    body = (
        f"{said} since the last download of “{profile}”:\n\n" + "\n".join(named) + "\n\n"
        "The people may have left. Or they have new addresses, e.g. after a change of the company's domain, and are "
        "candidates now. Then protect them again.\n\n"
        "LicenseHub files no request by itself until a user ends these protections, or confirms that they are as they "
        f"should be:\n\n{page}?lost=1\n"
    )
    return EmailMessage(subject=f"LicenseHub: {said}", body=body, bcc=recipients)
