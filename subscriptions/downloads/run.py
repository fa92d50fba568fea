"""Subflow 1, download subscriptions: read all pages into staging, and merge them once.

Names, verdicts and candidates come after that, in `follow_up`, which completes the run. Only a whole and plausible run
may mark people as gone. Anything implausible quarantines it, and the facts of the last complete run stay.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime

from django.db import transaction
from django.utils.text import capfirst

from integrations.connections import connection_state
from integrations.connectors.contract import (
    Allocation,
    BadAnswer,
    ConfigError,
    Connector,
    ConnectorError,
    Page,
    english,
)
from integrations.credentials import credential_store
from integrations.models import IntegrationProfile
from licensehub.audit.actions import Action
from licensehub.audit.log import Actor, record
from licensehub.database.clock import database_now
from licensehub.logs import log_context
from subscriptions.activity.returns import note_returns
from subscriptions.downloads import follow_up, lease
from subscriptions.downloads.facts import staging
from subscriptions.downloads.facts.former_accounts import link_former_accounts
from subscriptions.downloads.facts.merge import merge
from subscriptions.downloads.facts.validation import Doubtful, check_plausible, drop_repeated
from subscriptions.downloads.lease import begin, update_owned
from subscriptions.downloads.outages import with_retries
from subscriptions.downloads.parts import Part, Work
from subscriptions.eligibility.buckets import note_change
from subscriptions.models import DownloadRun, RunDoubt, RunState, Subscription
from subscriptions.models.download import StartedBy
from subscriptions.rules.moved_protections import move_protections
from subscriptions.stats import run_stats, stats_of
from subscriptions.turns import MAX_WAIT_IN_A_CALL

# Pages are stored after this time (seconds), or when there are this many, so that a killed run reads few pages again.
STORE_EVERY = 0.25
MAX_PAGES_AT_ONCE = 20
# A list that is longer does not end. It is ten times the largest known organization.
MAX_PAGES = 20_000
KEPT = english("{error} The facts of the last complete download are kept.")
LOOP = english("{vendor}'s pages of members repeat in a loop. None of them is used.")
NO_END = english("{vendor}'s pages of members do not end after {count}. None of them is used.")

OnProgress = Callable[[DownloadRun, int], None]


class StagingLost(BadAnswer):
    """Members are missing in staging. PostgreSQL does not log this table, so a crash empties it."""


@dataclass
class _Download(Work):
    """The values that the functions of one part share while members are read."""

    connector: Connector
    progress: OnProgress | None
    expected: int
    stored_at: float = field(default_factory=time.monotonic)


def download_subscriptions(
    profile: IntegrationProfile,
    *,
    actor: Actor,
    started_by: StartedBy,
    slot: datetime | None = None,
    progress: OnProgress | None = None,
    part: Part | None = None,
) -> DownloadRun:
    """Download all subscriptions of a profile. It continues where another process stopped.

    With a `part` it ends with the part, and gives the run up: see `parts`. Without, it works until the end.
    Returns the run: complete, quarantined or failed, or still under way. Raises DownloadError when none can be started.
    """
    run = begin(profile, actor=actor, started_by=started_by, slot=slot)
    with log_context.bound(run=run.pk):
        _work_on(run, profile, progress, part or Part())
    run.refresh_from_db()
    return run


def _work_on(run: DownloadRun, profile: IntegrationProfile, progress: OnProgress | None, part: Part) -> None:
    try:
        connector = credential_store.connector_for(profile, longest_wait=MAX_WAIT_IN_A_CALL)
    except ConfigError as error:
        connection_state.mark_failed(profile, error)
        _stop(run, RunState.FAILED, error.message)
    else:
        expected = Subscription.objects.filter(profile=profile, gone_at=None).count()
        work = _Download(run, part, connector, progress, expected)
        with lease.one_part(work):
            if _read(work):
                follow_up.work_on(work)


def _read(work: _Download) -> bool:
    """Read the members and write the facts. Returns whether they are written; otherwise the run has ended."""
    run, profile = work.run, work.run.profile
    had_all_pages = run.all_pages_in
    try:
        # A later part asks again only for what it settles.
        allocation = None if run.pages else with_retries(work, work.connector.allocation)
        _read_pages(work)
        rows, members = staging.counts(run)
        if rows != run.read:
            _start_over(work)
            rows, members = staging.counts(run)
        # The merge is one transaction. It gets a part of its own if the pages have used up this one.
        if not had_all_pages:
            work.part.check()
        allocation = allocation or with_retries(work, work.connector.allocation)
        _settle(work, allocation, repeated=rows - members)
    except Doubtful as error:
        update_owned(run, **work.usage())
        _stop(run, RunState.QUARANTINED, error.message, doubt=error.doubt)
    except BadAnswer as error:
        _stop(run, RunState.QUARANTINED, error.message)
    except ConfigError as error:
        connection_state.mark_failed(profile, error)
        _stop(run, RunState.FAILED, error.message)
    except ConnectorError as error:
        _stop(run, RunState.FAILED, KEPT.format(error=error.message))
    else:
        connection_state.mark_working(profile, profile.connector.download_slot)
        return True
    return False


def _read_pages(work: _Download) -> None:
    while not work.run.all_pages_in:
        with_retries(work, lambda: _read_on(work))


def _read_on(work: _Download) -> None:
    """Read from the saved cursor to the end. Pages are stored together with the cursor of the next page."""
    if work.run.all_pages_in:
        return
    waiting: list[Page] = []
    try:
        for page in work.connector.members(work.run.cursor):
            waiting.append(page)
            if len(waiting) >= MAX_PAGES_AT_ONCE or time.monotonic() - work.stored_at >= STORE_EVERY:
                pages, waiting = waiting, []
                _store(work, pages)
                if not work.run.all_pages_in:
                    work.part.check()
    except ConnectorError:
        # The pages before the error are good, so the next try continues after them.
        _store(work, waiting)
        raise
    _store(work, waiting)


def _start_over(work: _Download) -> None:
    """Read all pages again: PostgreSQL crashed during this run, and staging, which is not logged, has lost rows."""
    run = work.run
    run.cursor, run.former_cursor, run.pages, run.read, run.all_pages_in = "", "", 0, 0, False
    with transaction.atomic():
        staging.empty(run)
        update_owned(run, cursor="", former_cursor="", pages=0, read=0, all_pages_in=False)
    _read_pages(work)


def _store(work: _Download, pages: list[Page]) -> None:
    """Store the members of these pages together with the cursor of the next page."""
    run = work.run
    if not pages:
        return
    with transaction.atomic():
        staging.store(run, (member for page in pages for member in page.members))
        run.read += sum(len(page.members) for page in pages)
        for page in pages:
            _turn(run, page)
        run.all_pages_in, run.outages, run.waited = not run.cursor, 0, 0.0
        lease.renew(
            run,
            cursor=run.cursor,
            former_cursor=run.former_cursor,
            pages=run.pages,
            read=run.read,
            all_pages_in=run.all_pages_in,
            outages=0,
            waited=0.0,
            tries=0,
            **work.usage(),
        )
    work.stored_at = time.monotonic()
    if work.progress:
        work.progress(run, max(work.expected, run.read))


def _turn(run: DownloadRun, page: Page) -> None:
    """Go on to the page's cursor. Raises BadAnswer when the pages do not end.

    A connector finds a loop within one part. To find a loop over many parts, one cursor is stored and compared with
    each later one. It is replaced each time the number of pages has doubled (R. P. Brent, 1980).
    """
    run.cursor, run.pages = page.cursor, run.pages + 1
    if run.cursor and (run.cursor == run.former_cursor or run.pages >= MAX_PAGES):
        vendor = capfirst(run.profile.vendor)
        template = LOOP if run.cursor == run.former_cursor else NO_END
        raise BadAnswer(template.format(vendor=vendor, count=f"{run.pages:,}"))
    if run.pages & (run.pages - 1) == 0:
        run.former_cursor = run.cursor


def _settle(work: _Download, allocation: Allocation, *, repeated: int) -> None:
    """All pages are read. Check that they are plausible and merge them, in one transaction."""
    run, now = work.run, database_now()
    # A quarantined run keeps these, too: people may accept it.
    with transaction.atomic():
        drop_repeated(run, repeated=repeated)
        update_owned(run, purchased=dict(allocation.purchased), read=run.read)
    with transaction.atomic():
        lease.renew(run)
        check_plausible(run, allocation, repeated=repeated)
        counts = write_facts(run, now=now)
        update_owned(run, finished_at=now, **follow_up.first_values(), **work.usage())
        IntegrationProfile.objects.filter(pk=run.profile_id).update(
            organization_name=allocation.organization_name, plan=allocation.plan
        )
        record(Action.DOWNLOAD_COMPLETED, actor=None, target=run, data={"read": run.read, **counts})


def write_facts(run: DownloadRun, *, now: datetime) -> dict[str, int]:
    """Merge the staged members and write counts and statistics on the run; in a transaction. Returns the counts.

    An earlier quarantined run is older than these facts. So nobody can accept it afterwards, and its staged members
    are deleted, too. A quarantined run that is newer stays as it is, and so does its doubt. The follow-up of an earlier
    run ends. Raises StagingLost.
    """
    if not staging.is_whole(run):
        raise StagingLost(
            english(
                "The members of {run} are no longer all there, since the database was restarted after a crash. Nothing "
                "was changed. Start another download."
            ).format(run=run)
        )
    # This comes first: like the follow-up, the transaction must lock the run before the subscriptions.
    follow_up.supersede(run)
    merged = merge(run, now=now)
    note_change(run.profile_id)
    move_protections(run.profile)
    if merged.new:
        link_former_accounts(run, now=now)
    note_returns(run.profile, at=now)
    unchanged = run.read - merged.new - merged.changed
    counts = {"new": merged.new, "changed": merged.changed, "gone": merged.gone, "unchanged": unchanged}
    implausible = run.members.exclude(implausible_dates="").count()
    DownloadRun.objects.filter(pk=run.pk).update(
        stats=run_stats(run.profile, now=now), implausible=implausible, **counts
    )
    of_profile = DownloadRun.objects.filter(profile=run.profile)
    of_profile.filter(pk__lte=run.pk, acceptable=True).update(acceptable=False)
    if not of_profile.filter(pk__gt=run.pk, doubt=RunDoubt.ACTIVITY).exists():
        IntegrationProfile.objects.filter(pk=run.profile_id).update(activity_doubted_at=None)
    staging.empty_all(run.profile, until=run)
    return counts


def _stop(run: DownloadRun, state: RunState, problem: str, *, doubt: RunDoubt | None = None) -> None:
    """End the run. With a `doubt`, two people may accept its staged members. Doubtful dates hold all sends."""
    now, found = database_now(), {}
    if doubt:
        members = run.members.all()
        implausible = members.exclude(implausible_dates="").count()
        found = {"doubt": doubt, "acceptable": True, "stats": stats_of(members, now=now), "implausible": implausible}
    action = Action.DOWNLOAD_QUARANTINED if state == RunState.QUARANTINED else Action.DOWNLOAD_FAILED
    with transaction.atomic():
        update_owned(run, state=state, finished_at=now, problem=problem, **found)
        if not doubt:
            run.members.all().delete()
        if doubt == RunDoubt.ACTIVITY:
            undoubted = IntegrationProfile.objects.filter(pk=run.profile_id, activity_doubted_at=None)
            undoubted.update(activity_doubted_at=now)
        record(action, actor=None, target=run, data={"problem": problem})
