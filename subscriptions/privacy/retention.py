"""People who left long ago are erased: `GONE_PEOPLE_DAYS` after they were last seen.

Every night the people whose time is over are noted. They are erased at once where the worker has the rights, and else
by the command `erase_people`.
"""

from __future__ import annotations

import logging
import time
from datetime import timedelta

from django.conf import settings

from integrations.connectors.contract import english
from licensehub import stopping
from licensehub.database.clock import database_now
from subscriptions.errors import NotActionable, Refused
from subscriptions.models import Erasure, Subscription
from subscriptions.privacy.erase import ask_for_erasure, erase, may_erase

logger = logging.getLogger(__name__)

# People of one night. The others follow in the next nights.
MAX_PEOPLE = 500
REASON = english("Left more than {days} days ago.")


def note_due() -> int:
    """Note those who left more than `GONE_PEOPLE_DAYS` ago and still have a name. Returns how many; 0 if it is 0."""
    days = settings.GONE_PEOPLE_DAYS
    if not days:
        return 0
    before = database_now() - timedelta(days=days)
    left = Subscription.objects.filter(gone_at__lt=before, erasures=None).exclude(name="", email="")
    noted = 0
    for row in left.select_related("profile").order_by("gone_at", "pk")[:MAX_PEOPLE]:
        try:
            ask_for_erasure(row, actor=None, reason=REASON.format(days=days))
            noted += 1
        except (Refused, NotActionable) as error:
            logger.info("Member %s is not erased yet: %s", row.external_id, error)
    return noted


def erase_due(*, seconds: float) -> tuple[int, list[str]]:
    """Erase those who are noted, for about `seconds`. Returns how many, and a sentence for each who could not be."""
    if not may_erase():
        return 0, []
    done, problems, ends_at = 0, [], time.monotonic() + seconds
    for erasure in Erasure.objects.filter(done_at=None).select_related("subscription__profile").order_by("pk"):
        if stopping.is_over(ends_at):
            break
        try:
            erase(erasure)
            done += 1
        except (Refused, NotActionable) as error:
            problems.append(f"Member {erasure.subscription.external_id}: {error}")
    return done, problems
