"""One mail a day for people who chose it: each working day in the morning, with all notifications since the last."""

from __future__ import annotations

from datetime import time

from django.db import transaction
from django.utils import timezone

from subscriptions.models import NotificationMail, NotificationRecipient
from subscriptions.schedules.working_days import is_working_day

# The time of the mail, in the time zone of the company.
DIGEST_AT = time(8)


def make_digests() -> int:
    """Make today's digests when it is time. A later notification waits for the next digest. Returns how many."""
    now = timezone.localtime()
    begins = now.replace(hour=DIGEST_AT.hour, minute=0, second=0, microsecond=0)
    if now < begins or not is_working_day(now.date()):
        return 0
    waiting = NotificationRecipient.objects.filter(mail=None, created_at__lt=begins)
    made = 0
    for pk in list(waiting.order_by("user").values_list("user", flat=True).distinct()):
        with transaction.atomic():
            mail, new = NotificationMail.objects.get_or_create(user_id=pk, digest_on=now.date())
            if new:
                waiting.filter(user=pk).update(mail=mail)
                made += 1
    return made
