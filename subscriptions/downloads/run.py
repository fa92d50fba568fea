"""Subflow 1, download subscriptions: pages -> staging -> one merge -> a complete run, then names, verdicts, candidates.

Absence is not evidence: only a complete and plausible run may say that somebody left. Whatever is odd quarantines the
run as a whole, and the facts of the last complete run stay.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import TypeVar

from django.db import IntegrityError, transaction
from django.utils import timezone

from integrations import connection_state, credential_store
from integrations.connectors.contract import (
    Allocation,
    BadAnswer,
    ConfigError,
    Connector,
    ConnectorError,
    Page,
    TransientError,
    Usage,
)
from integrations.models import IntegrationProfile
from licensehub.audit.actions import Action
from licensehub.audit.log import Actor, record
from subscriptions.downloads import staging
from subscriptions.downloads.follow_up import complete_facts, evaluate_and_propose
from subscriptions.downloads.merge import analyze_if_large, merge
from subscriptions.downloads.validation import Shrunk, check_plausible, drop_repeated
from subscriptions.models import DownloadRun, RunState, Subscription
from subscriptions.models.download import StartedBy
from subscriptions.reclaims import switches
from subscriptions.reclaims.switches import Operation
from subscriptions.stats import run_stats

# How long one download may wait, all in all, for a vendor that asks to come back later (seconds).
MAX_TOTAL_WAIT = 600.0
# How long it waits before it tries again where the vendor says nothing: it is down, or the way to it is.
OUTAGE_BACKOFF = (1.0, 5.0, 15.0)

# How often what came in is stored with its cursor (seconds), and how many pages at most.
STORE_EVERY = 0.25
PAGES_AT_ONCE = 20

Progress = Callable[[DownloadRun, int], None]
T = TypeVar("T")


class DownloadError(Exception):
    """The download cannot be started or finished. The text says why and what to do next."""


class StagingLost(BadAnswer):
    """The staging table is not logged by PostgreSQL: what a crash left of it must not be taken for the whole."""


class LeaseLost(DownloadError):
    """Somebody else goes on with this run."""


@dataclass
class _Download:
    """What the steps of one download share."""

    run: DownloadRun
    connector: Connector
    progress: Progress | None
    patience: float = MAX_TOTAL_WAIT
    outages: int = 0
    expected: int = field(default=0)
    stored_at: float = field(default_factory=time.monotonic)
    counted: Usage = field(default_factory=Usage)

    def asked(self) -> dict[str, int]:
        """What the run has cost so far, for its row; several processes may have worked on it."""
        used = self.connector.usage()
        self.run.requests += used.requests - self.counted.requests
        self.run.credits += used.credits - self.counted.credits
        self.counted = used
        return {"requests": self.run.requests, "credits": self.run.credits}


def download_subscriptions(
    profile: IntegrationProfile,
    *,
    actor: Actor,
    started_by: StartedBy,
    slot: datetime | None = None,
    progress: Progress | None = None,
) -> DownloadRun:
    """Download all subscriptions of a profile; goes on where a killed download stopped.

    Returns the run, complete, quarantined or failed. Raises DownloadError when none can be started.
    """
    run = _begin(profile, actor=actor, started_by=started_by, slot=slot)
    expected = Subscription.objects.filter(profile=profile, gone_at=None).count()
    try:
        connector = credential_store.connector_for(profile)
    except ConfigError as error:
        connection_state.mark_failed(profile, error)
        _stop(run, RunState.FAILED, error.message)
    else:
        _work(_Download(run, connector, progress, expected=expected))
    run.refresh_from_db()
    return run


def _work(work: _Download) -> None:
    run, profile = work.run, work.run.profile
    try:
        allocation = _patiently(work, work.connector.allocation)
        _read_pages(work)
        rows, members = staging.counts(run)
        if rows != run.read:
            _start_over(work)
            rows, members = staging.counts(run)
        _settle(work, allocation, repeated=rows - members)
    except Shrunk as error:
        _guarded(run, **work.asked())
        _stop(run, RunState.QUARANTINED, error.message, acceptable=True)
    except BadAnswer as error:
        _stop(run, RunState.QUARANTINED, error.message)
    except ConfigError as error:
        connection_state.mark_failed(profile, error)
        _stop(run, RunState.FAILED, error.message)
    except ConnectorError as error:
        _stop(run, RunState.FAILED, f"{error.message} The facts of the last complete download are kept.")
    else:
        connection_state.mark_working(profile, profile.connector.download_slot)
        _after(work)


def _begin(profile: IntegrationProfile, *, actor: Actor, started_by: StartedBy, slot: datetime | None) -> DownloadRun:
    # A schedule does not try a connection in Error again and again; a person may.
    by_itself = started_by in (StartedBy.SCHEDULE, StartedBy.PUBLISH)
    if sentence := switches.refusal(profile, Operation.DOWNLOAD if by_itself else Operation.DOWNLOAD_BY_HAND):
        raise DownloadError(sentence)
    return _take_over(profile, actor=actor) or _start(profile, actor=actor, started_by=started_by, slot=slot)


def _take_over(profile: IntegrationProfile, *, actor: Actor) -> DownloadRun | None:
    """The profile's abandoned run, now ours; None where there is none."""
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
        f"complete. If its process was killed, start again in {seconds} seconds: it goes on where it stopped."
    )


def _read_pages(work: _Download) -> None:
    while not work.run.all_pages_in:
        _patiently(work, lambda: _read_on(work))


def _read_on(work: _Download) -> None:
    """Read from the saved cursor to the end; each page is stored together with the cursor behind it."""
    run = work.run
    if run.all_pages_in:
        return
    waiting: list[Page] = []
    try:
        for page in work.connector.members(run.cursor):
            waiting.append(page)
            if _is_enough(waiting, work):
                pages, waiting = waiting, []
                _store(work, pages)
    except ConnectorError:
        # What came in before the error is good: the next try goes on behind it.
        _store(work, waiting)
        raise
    _store(work, waiting)


def _start_over(work: _Download) -> None:
    """PostgreSQL crashed while this run read, and staging is not logged: what is left of it proves nothing."""
    run = work.run
    run.cursor, run.pages, run.read, run.all_pages_in = "", 0, 0, False
    with transaction.atomic():
        staging.empty(run)
        _guarded(run, cursor="", pages=0, read=0, all_pages_in=False)
    _read_pages(work)


def _is_enough(pages: list[Page], work: _Download) -> bool:
    """Four times a second, or some pages at once where they come in fast: a killed run then reads little again."""
    return len(pages) >= PAGES_AT_ONCE or time.monotonic() - work.stored_at >= STORE_EVERY


def _patiently(work: _Download, call: Callable[[], T]) -> T:
    """Call again when the vendor asks to come back later, up to the download's patience; the lease is kept alive."""
    while True:
        try:
            return call()
        except TransientError as error:
            wait = error.retry_after or _outage_wait(work)
            if not wait or wait > work.patience:
                raise
            work.patience -= wait
            _sleep(work.run, wait)


def _outage_wait(work: _Download) -> float:
    """Longer each time; 0.0 when it has lasted too long."""
    work.outages += 1
    return OUTAGE_BACKOFF[work.outages - 1] if work.outages <= len(OUTAGE_BACKOFF) else 0.0


def _sleep(run: DownloadRun, seconds: float) -> None:
    until = time.monotonic() + seconds
    while (left := until - time.monotonic()) > 0:
        _guarded(run, lease_until=timezone.now() + DownloadRun.LEASE)
        time.sleep(min(left, 20.0))


def _guarded(run: DownloadRun, **values: object) -> None:
    """Update the run if it is still ours and running."""
    mine = DownloadRun.objects.filter(pk=run.pk, token=run.token, state=RunState.RUNNING)
    if mine.update(**values) != 1:
        raise LeaseLost(f"{run} was taken over by another process, which goes on with it.")


def _store(work: _Download, pages: list[Page]) -> None:
    """The members of these pages, together with the cursor behind them."""
    run = work.run
    if not pages:
        return
    with transaction.atomic():
        staging.store(run, (member for page in pages for member in page.members))
        run.read += sum(len(page.members) for page in pages)
        run.cursor, run.pages = pages[-1].cursor, run.pages + len(pages)
        run.all_pages_in = not run.cursor
        _guarded(
            run,
            cursor=run.cursor,
            pages=run.pages,
            read=run.read,
            all_pages_in=run.all_pages_in,
            lease_until=timezone.now() + DownloadRun.LEASE,
            **work.asked(),
        )
    work.stored_at = time.monotonic()
    if work.progress:
        work.progress(run, max(work.expected, run.read))


def _settle(work: _Download, allocation: Allocation, *, repeated: int) -> None:
    """All pages are in: check that they are plausible, then merge, all in one transaction."""
    run, now = work.run, timezone.now()
    # Kept with a quarantined run, too: somebody may accept it.
    with transaction.atomic():
        drop_repeated(run, repeated=repeated)
        _guarded(run, purchased=dict(allocation.purchased), read=run.read)
    with transaction.atomic():
        check_plausible(run, allocation, repeated=repeated)
        counts = write_facts(run, now=now)
        _guarded(run, state=RunState.COMPLETE, finished_at=now, **work.asked())
        IntegrationProfile.objects.filter(pk=run.profile_id).update(
            organization_name=allocation.organization_name, plan=allocation.plan
        )
        record(Action.DOWNLOAD_COMPLETED, actor=None, target=run, data={"read": run.read, **counts})


def write_facts(run: DownloadRun, *, now: datetime) -> dict[str, int]:
    """In a transaction: merge what was staged, and note the counts and statistics on the run. Returns the counts.

    What an earlier quarantined run holds in staging is older than this, and can be accepted no more. Raises
    StagingLost.
    """
    if not staging.is_whole(run):
        raise StagingLost(
            f"The members of {run} are no longer all there, since the database was restarted after a crash. Nothing "
            "was changed. Start another download."
        )
    merged = merge(run, now=now)
    unchanged = run.read - merged.new - merged.changed
    counts = {"new": merged.new, "changed": merged.changed, "gone": merged.gone, "unchanged": unchanged}
    DownloadRun.objects.filter(pk=run.pk).update(stats=run_stats(run.profile, now=now), **counts)
    DownloadRun.objects.filter(profile=run.profile, acceptable=True).update(acceptable=False)
    staging.empty_all(run.profile)
    return counts


def _stop(run: DownloadRun, state: RunState, problem: str, *, acceptable: bool = False) -> None:
    action = Action.DOWNLOAD_QUARANTINED if state == RunState.QUARANTINED else Action.DOWNLOAD_FAILED
    with transaction.atomic():
        _guarded(run, state=state, finished_at=timezone.now(), problem=problem, acceptable=acceptable)
        if not acceptable:
            run.members.all().delete()
        record(action, actor=None, target=run, data={"problem": problem})


def _after(work: _Download) -> None:
    work.run.refresh_from_db()
    analyze_if_large(work.run)
    complete_facts(work.run, work.connector)
    DownloadRun.objects.filter(pk=work.run.pk).update(**work.asked())
    evaluate_and_propose(work.run)
