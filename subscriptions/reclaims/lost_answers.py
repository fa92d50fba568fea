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
from django.db.models import Exists, F, OuterRef, Q
from django.db.models.functions import Coalesce

from integrations.models import IntegrationProfile, IntegrationProfileQuerySet
from licensehub.audit.actions import Action
from licensehub.audit.log import record
from licensehub.database.clock import database_now
from subscriptions.models import Direction, Reclaim

MAX_LOST: Final = 3
FIRST_HOLD: Final = timedelta(minutes=5)
LONGEST_HOLD: Final = timedelta(hours=1)


def held_profiles() -> IntegrationProfileQuerySet:
    """The profiles in use with reclaims that wait for the end of a hold. A hold without such reclaims is left out."""
    waiting = Reclaim.objects.unfinished().filter(profile=OuterRef("pk"), direction=Direction.DEACTIVATE)
    return IntegrationProfile.objects.in_use().filter(Exists(waiting), lost_answers_held_at__isnull=False)


def is_held(profile: IntegrationProfile) -> bool:
    return profile.lost_answers_held_at is not None and held_profiles().filter(pk=profile.pk).exists()


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
    if item.direction == Direction.DEACTIVATE and profile.lost_answers_held_until:
        IntegrationProfile.objects.filter(pk=profile.pk).update(lost_answers_held_until=now + Reclaim.LEASE)
