"""The lease of a download run: start a run, take over an abandoned one, and write only to one that is still ours.

At most one run of a profile is in state RUNNING. The process that works on it knows the run's token, and renews its
lease. When its time is over, it gives the lease up. A run whose lease was given up or has run out is taken over with a
new token: by the next download while it is RUNNING, by its follow-up while it is EVALUATING.
"""

from __future__ import annotations

import contextlib
import uuid
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

from django.db import DatabaseError, IntegrityError, transaction
from django.db.models import F
from django.utils.translation import gettext as _

from integrations.models import IntegrationProfile
from licensehub.audit.actions import Action
from licensehub.audit.log import Actor, record
from licensehub.database.clock import database_now
from subscriptions.downloads.parts import PartOver, Work
from subscriptions.models import DownloadRun, RunState
from subscriptions.models.download import UNDER_WAY, DownloadRunQuerySet, StartedBy
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
    with transaction.atomic():
        run = take(DownloadRun.objects.abandoned().filter(profile=profile))
        if run:
            data = {"pages": run.pages, "read": run.read, "part": run.parts}
            record(Action.DOWNLOAD_RESUMED, actor=actor, target=run, data=data)
    return run


def take(abandoned: DownloadRunQuerySet) -> DownloadRun | None:
    """Take over the run that these rows hold; None when there is none, or when another process is faster."""
    token = uuid.uuid4()
    values = {"token": token, "lease_until": database_now() + DownloadRun.LEASE}
    if not abandoned.update(**values, parts=F("parts") + 1, tries=F("tries") + 1):
        return None
    return DownloadRun.objects.select_related("profile").get(token=token)


def _start(profile: IntegrationProfile, *, actor: Actor, started_by: StartedBy, slot: datetime | None) -> DownloadRun:
    now = database_now()
    try:
        with transaction.atomic():
            run = DownloadRun.objects.create(
                profile=profile,
                slot=slot,
                started_by=started_by,
                started_by_user=actor,
                started_at=now,
                lease_until=now + DownloadRun.LEASE,
            )
            IntegrationProfile.objects.filter(pk=profile.pk).update(download_due_at=None, download_due_by=None)
            record(Action.DOWNLOAD_STARTED, actor=actor, target=run, data={"by": started_by.label})
    except IntegrityError as error:
        raise DownloadError(_why_not_now(profile, slot)) from error
    return run


def _why_not_now(profile: IntegrationProfile, slot: datetime | None) -> str:
    running = DownloadRun.objects.filter(profile=profile, state=RunState.RUNNING).first()
    if running is None:
        return _("The download of “{profile}” for {slot} UTC was made already.").format(
            profile=profile, slot=format(slot, "%Y-%m-%d %H:%M")
        )
    seconds = max(1, int((running.lease_until - database_now()).total_seconds()) + 1)
    return _(
        "A download of “{profile}” is running already ({run}, {read} members so far). Wait "
        "until it is complete. If its process was killed, start again in {seconds} seconds: it "
        "continues where it stopped."
    ).format(profile=profile, run=running, read=running.read, seconds=seconds)


def renew(run: DownloadRun, **values: Any) -> None:
    """Renew the lease, and write `values`. Raises LeaseLost.

    At the start of a long transaction, it also keeps the row locked: a process that wants to take the run over waits
    until the transaction ends. The end of a killed process ends its transaction, too.
    """
    update_owned(run, lease_until=database_now() + DownloadRun.LEASE, **values)


def give_up(run: DownloadRun, *, resume_in: float = 0.0, **values: Any) -> None:
    """Give up the lease, so that the next part may begin in `resume_in` seconds. Raises LeaseLost."""
    update_owned(run, lease_until=database_now() + timedelta(seconds=resume_in), tries=0, **values)


@contextlib.contextmanager
def one_part(work: Work) -> Iterator[None]:
    """In the `with` block, this process works on the run. After PartOver or another error it gives the lease up."""
    run = work.run
    try:
        yield
    except PartOver as over:
        give_up(run, resume_in=over.resume_in, waited=run.waited, outages=run.outages, **work.usage())
    except Exception:
        # An unexpected error. The attempt counts, and the next part need not wait until the lease ends.
        with contextlib.suppress(LeaseLost, DatabaseError):
            update_owned(run, lease_until=database_now())
        raise


def update_owned(run: DownloadRun, **values: Any) -> None:
    """Update the run if it is under way and this process still holds it. Raises LeaseLost."""
    owned = DownloadRun.objects.filter(pk=run.pk, token=run.token, state__in=UNDER_WAY)
    if owned.update(**values) != 1:
        raise LeaseLost(f"{run} was taken over by another process, which continues it.")
