"""Hold the reclaims of a profile while the vendor's answers to them are lost, e.g. since each of them is an error 500.

If the answer to a reclaim is lost, and its person is not read back as inactive, a human has to look. So after three
such reclaims in a row the next ones wait for five minutes. Then one is sent. If its answer is lost as well, the others
wait twice as long, up to an hour. The count is in the row of the profile, so all workers agree. A restore neither waits
nor counts.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

from django.db import transaction
from django.db.models import F, Min, Q
from django.db.models.functions import Coalesce

from integrations.models import IntegrationProfile
from licensehub.audit.actions import Action
from licensehub.audit.log import record
from licensehub.database.clock import database_now
from subscriptions.models import Direction, Reclaim

MAX_LOST: Final = 3
FIRST_HOLD: Final = timedelta(minutes=5)
LONGEST_HOLD: Final = timedelta(hours=1)


def waits() -> list[tuple[IntegrationProfile, datetime]]:
    """The profiles in use with reclaims that wait for the end of a hold, and since when."""
    held = IntegrationProfile.objects.in_use().filter(lost_answers_held_at__isnull=False)
    return [(profile, since) for profile in held if (since := waiting_since(profile))]


def waiting_since(profile: IntegrationProfile) -> datetime | None:
    """Return since when reclaims of this profile wait for the end of a hold; None while none does.

    That is the begin of the hold, or the approval of the first of these reclaims if it was later.
    """
    if profile.lost_answers_held_at is None:
        return None
    waiting = Reclaim.objects.unfinished().filter(profile=profile, direction=Direction.DEACTIVATE)
    first = waiting.aggregate(at=Min("queued_at"))["at"]
    return max(profile.lost_answers_held_at, first) if first else None


def note_lost(item: Reclaim) -> None:
    """Count this reclaim, whose answer was lost, and hold the next ones if there were too many in a row.

    A reclaim that was sent before the hold began says nothing new, and does not make the hold longer.
    """
    if item.direction != Direction.DEACTIVATE:
        return
    row = IntegrationProfile.objects.filter(pk=item.profile_id)
    counts = Q(lost_answers_held_at=None) | Q(lost_answers_held_at__lte=item.sending_at)
    with transaction.atomic():
        if row.filter(counts).update(lost_answers=F("lost_answers") + 1) != 1:
            return
        profile = row.get()
        if profile.lost_answers < MAX_LOST:
            return
        now = database_now()
        # Without a limit, the power would be too large for a timedelta after some days.
        doubled = min(profile.lost_answers - MAX_LOST, 10)
        until = now + min(FIRST_HOLD * 2**doubled, LONGEST_HOLD)
        row.update(lost_answers_held_at=Coalesce("lost_answers_held_at", now), lost_answers_held_until=until)
        data = {"lost": profile.lost_answers, "until": until.isoformat()}
        record(Action.ANSWERS_LOST, actor=None, target=profile, data=data)


def note_answer(item: Reclaim) -> None:
    """Count anew, and end the hold: the vendor has answered this reclaim, or its seat was read back as taken."""
    if item.direction != Direction.DEACTIVATE:
        return
    row = IntegrationProfile.objects.filter(pk=item.profile_id)
    with transaction.atomic():
        if not row.filter(lost_answers__gt=0).update(lost_answers=0):
            return
        held = row.filter(lost_answers_held_at__isnull=False)
        if held.update(lost_answers_held_at=None, lost_answers_held_until=None):
            record(Action.ANSWERS_BACK, actor=None, target=item.profile)


def begin_try(profile: IntegrationProfile, item: Reclaim, *, now: datetime) -> None:
    """Let the other reclaims wait for the answer to this one, the first after a hold; at most for its lease.

    The caller has locked the profile's row and found that the hold is over.
    """
    if item.direction != Direction.DEACTIVATE or profile.lost_answers_held_until is None:
        return
    values = {"lost_answers_held_until": now + Reclaim.LEASE}
    if now - profile.lost_answers_held_until > LONGEST_HOLD:
        # Nobody was tried since then, so that hold is history. What waits from now on waits for this answer.
        values["lost_answers_held_at"] = now
    IntegrationProfile.objects.filter(pk=profile.pk).update(**values)
