"""The schedules of a profile in words, read from their PeriodicTask."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from integrations.models import IntegrationProfile, ProfileState
from subscriptions.schedules import schedules
from subscriptions.schedules.schedules import DOWNLOAD_TASK, RECLAIM_TASK


@dataclass(frozen=True, slots=True)
class Schedule:
    """`next_at` is None when nothing will start by itself."""

    text: str
    next_at: datetime | None


ARCHIVED = gettext_lazy("None, because the profile is archived")


def schedule_of(profile: IntegrationProfile) -> Schedule:
    """Return when downloads start."""
    if profile.is_archived:
        return Schedule(str(ARCHIVED), None)
    task = schedules.task_of(profile, DOWNLOAD_TASK)
    if task is None:
        return Schedule(_("None yet. It is created when you publish, and runs every night."), None)
    coming = schedules.next_moments(task, count=1) if profile.state == ProfileState.PUBLISHED else []
    return Schedule(schedules.words_of(task), coming[0] if coming else None)


def window_of(profile: IntegrationProfile) -> Schedule:
    """Return when reclaims may be sent; `next_at` is when the window opens, None while it is open."""
    if profile.is_archived:
        return Schedule(str(ARCHIVED), None)
    task = schedules.task_of(profile, RECLAIM_TASK)
    if task is None:
        return Schedule(_("At any time"), None)
    return Schedule(schedules.words_of(task), schedules.window_opens_at(profile))
