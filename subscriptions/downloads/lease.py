"""The lease of a download run: start a run, take over an abandoned one, and write only to one that is still ours.

At most one run of a profile is in state RUNNING. The process that works on it knows the run's token, and renews its
lease. A run whose lease has ended is abandoned: the next download takes it over with a new token.
"""

from __future__ import annotations

import uuid
from datetime import datetime

from django.db import IntegrityError, transaction
from django.utils import timezone

from integrations.models import IntegrationProfile
from licensehub.audit.actions import Action
from licensehub.audit.log import Actor, record
from subscriptions.models import DownloadRun, RunState
from subscriptions.models.download import StartedBy
from subscriptions.reclaims import switches
from subscriptions.reclaims.switches import Operation


class DownloadError(Exception):
    """The download cannot be started or finished. The text says why and what to do next."""


class LeaseLost(DownloadError):
    """Another process has taken over this run."""


def begin(profile: IntegrationProfile, *, actor: Actor, started_by: StartedBy, slot: datetime | None) -> DownloadRun:
    """The run to work on: the abandoned one of the profile, or a new one. Raises DownloadError."""
    # A schedule does not try a connection in Error again and again; a person may.
    automatic = started_by in (StartedBy.SCHEDULE, StartedBy.PUBLISH)
    if reason := switches.refusal(profile, Operation.DOWNLOAD if automatic else Operation.DOWNLOAD_BY_HAND):
        raise DownloadError(reason)
    return _take_over(profile, actor=actor) or _start(profile, actor=actor, started_by=started_by, slot=slot)


def _take_over(profile: IntegrationProfile, *, actor: Actor) -> DownloadRun | None:
    token = uuid.uuid4()
    abandoned = DownloadRun.objects.abandoned().filter(profile=profile)
    with transaction.atomic():
        if not abandoned.update(token=token, lease_until=timezone.now() + DownloadRun.LEASE):
            return None
        run = DownloadRun.objects.get(profile=profile, token=token)
        record(Action.DOWNLOAD_RESUMED, actor=actor, target=run, data={"pages": run.pages, "read": run.read})
    return run


def _start(profile: IntegrationProfile, *, actor: Actor, started_by: StartedBy, slot: datetime | None) -> DownloadRun:
    now = timezone.now()
    try:
        with transaction.atomic():
            run = DownloadRun.objects.create(
                profile=profile,
                slot=slot,
                started_by=started_by,
                started_by_name=actor.get_username() if actor else "",
                started_at=now,
                lease_until=now + DownloadRun.LEASE,
            )
            IntegrationProfile.objects.filter(pk=profile.pk).update(download_due_at=None)
            record(Action.DOWNLOAD_STARTED, actor=actor, target=run, data={"by": started_by.label})
    except IntegrityError as error:
        raise DownloadError(_why_not_now(profile, slot)) from error
    return run


def _why_not_now(profile: IntegrationProfile, slot: datetime | None) -> str:
    running = DownloadRun.objects.filter(profile=profile, state=RunState.RUNNING).first()
    if running is None:
        return f"The download of “{profile}” for {slot:%Y-%m-%d %H:%M} UTC was made already."
    seconds = max(1, int((running.lease_until - timezone.now()).total_seconds()) + 1)
    return (
        f"A download of “{profile}” is running already ({running}, {running.read} members so far). Wait until it is "
        f"complete. If its process was killed, start again in {seconds} seconds: it continues where it stopped."
    )


def renew(run: DownloadRun) -> None:
    update_owned(run, lease_until=timezone.now() + DownloadRun.LEASE)


def update_owned(run: DownloadRun, **values: object) -> None:
    """Update the run if it is running and this process still holds it. Raises LeaseLost."""
    owned = DownloadRun.objects.filter(pk=run.pk, token=run.token, state=RunState.RUNNING)
    if owned.update(**values) != 1:
        raise LeaseLost(f"{run} was taken over by another process, which continues it.")
