"""The steps of the follow-up. Each ends with `finish_step`, and may be done again from its start or its saved cursor.

Names and team admins come from the vendor. An error there is noted on the run, and the verdicts follow nevertheless.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import count
from typing import Any

from django.db import transaction

from integrations.connections import connection_state
from integrations.connectors.contract import (
    BadAnswer,
    Capability,
    ConfigError,
    Connector,
    ConnectorError,
    NotGranted,
    english,
)
from integrations.models import IntegrationProfile
from licensehub.audit.actions import Action
from licensehub.audit.log import record
from licensehub.database.clock import database_now
from licensehub.translations.stored import as_evidence
from subscriptions.accounts.persons import find_persons
from subscriptions.approvals.request import file_automatically
from subscriptions.candidates import locks
from subscriptions.candidates.propose import propose_candidates
from subscriptions.candidates.withdraw import withdraw
from subscriptions.downloads import directory, lease, team_admins
from subscriptions.downloads.facts.merge import analyze_if_large
from subscriptions.downloads.lease import LeaseLost
from subscriptions.downloads.outages import with_retries
from subscriptions.downloads.parts import Work
from subscriptions.eligibility.buckets import count_buckets
from subscriptions.eligibility.evaluate import evaluate_profile
from subscriptions.eligibility.past_counts import count_past
from subscriptions.eligibility.people_counts import current_counts
from subscriptions.errors import NotActionable, Refused
from subscriptions.models import DownloadRun, RunState
from subscriptions.models.download import STEPS, FollowUp
from subscriptions.money.verified_seats import count_verified
from subscriptions.reclaims import switches
from subscriptions.reclaims.switches import Operation
from subscriptions.rules.binding import bind_protections
from subscriptions.rules.coverage import note_coverage
from subscriptions.search import refresh_search

# A step that asks the vendor is left out after this many attempts without progress.
MAX_TRIES = 3
# Far more than any organization has.
MAX_TEAMS = 200_000
NAMES_MISSING = english("Names were not read: {error}")
ADMINS_MISSING = english("Who is the only admin of a team was not read: {error}")
# Both may stand in one field.
BOTH_MISSING = english("Names were not read: {error} Who is the only admin of a team was not read: {second}")
BROKEN = english("the connection is in error. The next download tries again.")
ENDED = english("the process ended during each of {tries} attempts. The next download tries again.")
NOT_OFFERED = english("{vendor} does not offer it.")
NO_END = english("The list of teams does not end after {count}.")


def finish_step(work: Work, *, problem: str = "", left_out: str = "", **values: Any) -> None:
    """Go on to the next step, or complete the run. Raises LeaseLost.

    `problem` is noted on the run. `left_out` is the reason why the step did nothing.
    """
    run, now = work.run, database_now().isoformat()
    step = FollowUp(run.follow_up)
    following = (*STEPS, FollowUp.DONE)[STEPS.index(step) + 1]
    run.steps[step] = {**run.steps.get(step, {}), "until": now, "problem": problem, "left_out": left_out}
    values |= {"steps": run.steps, "follow_up": following, "cursor": "", "tries": 0, **work.usage()}
    if problem:
        values["problem"] = f"{run.problem} {problem}".strip()
    if following == FollowUp.DONE:
        values["state"] = RunState.COMPLETE
    else:
        run.steps[following] = {"since": now}
    with transaction.atomic():
        rows = DownloadRun.objects.filter(pk=run.pk, token=run.token, state=RunState.EVALUATING, follow_up=step)
        if rows.update(**values) != 1:
            raise LeaseLost(f"{run} was taken over by another process, which continues it.")
        if following == FollowUp.DONE:
            record(Action.DOWNLOAD_EVALUATED, actor=None, target=run, data={"parts": run.parts})
    for name, value in values.items():
        setattr(run, name, value)


# --- From the vendor --------------------------------------------------------------------------------------------------


def read_names(work: Work) -> None:
    """Read names, departments, managers and so on from the vendor's directory, page by page."""

    def read(connector: Connector) -> None:
        with_retries(work, lambda: _read_directory(work, connector))
        connection_state.mark_working(work.run.profile, work.run.profile.connector.reclaim_slot)

    _read(work, Capability.DIRECTORY, NAMES_MISSING, read)


def _read_directory(work: Work, connector: Connector) -> None:
    """Gather from the saved cursor to the end. Each page is stored together with the cursor of the next one."""
    run = work.run
    so_far = _so_far(run)
    if not run.cursor and not so_far.get("read"):
        so_far["done"] = 0
        with transaction.atomic():
            lease.renew(run)
            directory.forget(run.profile)
    for page in () if so_far.get("read") else connector.directory(run.cursor):
        with transaction.atomic():
            lease.renew(run)
            directory.gather(run, page.people)
            _save_page(work, page.cursor, done=len(page.people))
        if page.cursor:
            work.part.check()
    if "known" not in so_far:
        with transaction.atomic():
            lease.renew(run)
            so_far["known"] = directory.write_gathered(run).known
            lease.update_owned(run, steps=run.steps)
    if so_far["done"] and not so_far["known"]:
        raise directory.foreign(run.profile)


def read_team_admins(work: Work) -> None:
    """Read who is the only admin of a team. Without the permission nobody is; after an error the known ones stay."""
    run = work.run

    def read(connector: Connector) -> None:
        granted = True
        try:
            with_retries(work, lambda: _read_teams(work, connector))
        except NotGranted:
            granted = False
        with transaction.atomic():
            lease.renew(run)
            if granted:
                team_admins.write_gathered(run)
            else:
                team_admins.write_sole_admins(run.profile, {})
        run.team_admins_checked = granted

    _read(work, Capability.LAST_TEAM_ADMIN, ADMINS_MISSING, read)


def _read_teams(work: Work, connector: Connector) -> None:
    """Read from the saved cursor to the end. Each page is written together with the cursor of the next one."""
    run = work.run
    so_far = _so_far(run)
    if not run.cursor and not so_far.get("read"):
        so_far["done"] = 0
        with transaction.atomic():
            lease.renew(run)
            team_admins.forget(run.profile)
    for page in () if so_far.get("read") else connector.team_admins(run.cursor):
        with transaction.atomic():
            lease.renew(run)
            team_admins.gather(run, page.teams)
            _save_page(work, page.cursor, done=len(page.teams))
        if so_far["done"] > MAX_TEAMS:
            raise BadAnswer(NO_END.format(count=f"{MAX_TEAMS:,}"), code="too_many_pages")
        if page.cursor:
            work.part.check()


def _so_far(run: DownloadRun) -> dict[str, Any]:
    """The progress of the current step, as recorded on the run."""
    found: dict[str, Any] = run.steps[run.follow_up]
    return found


def _save_page(work: Work, cursor: str, *, done: int) -> None:
    """Save the cursor of the next page, in the transaction that writes this one."""
    run = work.run
    run.cursor, run.outages, run.waited = cursor, 0, 0.0
    so_far = _so_far(run)
    so_far |= {"done": so_far["done"] + done, "read": not cursor}
    lease.update_owned(run, cursor=cursor, steps=run.steps, outages=0, waited=0.0, tries=0, **work.usage())


def _read(work: Work, capability: Capability, missing: str, read: Callable[[Connector], None]) -> None:
    """Do a step that asks the vendor. After an error of it, the next step follows as well."""
    run, problem, left_out = work.run, "", ""
    profile = IntegrationProfile.objects.get(pk=run.profile_id)
    if capability not in profile.connector.capabilities:
        left_out = NOT_OFFERED.format(vendor=profile.connector.label)
    elif refusal := _refusal(profile, Operation.DOWNLOAD_BY_HAND):
        left_out = refusal
    elif work.connector is None:
        problem = missing.format(error=BROKEN)
    elif run.tries > MAX_TRIES:
        problem = missing.format(error=ENDED.format(tries=MAX_TRIES))
    else:
        try:
            read(work.connector)
        except ConnectorError as error:
            problem = missing.format(error=error.message)
            if isinstance(error, ConfigError):
                connection_state.mark_failed(profile, error)
    finish_step(work, problem=problem, left_out=left_out, team_admins_checked=run.team_admins_checked)


def _refusal(profile: IntegrationProfile, operation: Operation) -> str:
    """The refusal in the words that the run stores."""
    with as_evidence():
        return switches.refusal(profile, operation)


# --- From the database ------------------------------------------------------------------------------------------------


def evaluate(work: Work) -> None:
    """Find the persons of the accounts, bind protections, write the verdicts, and count the covered people."""
    run = work.run
    find_persons(run.profile)
    bind_protections(run.profile)
    evaluate_profile(run.profile, before=lambda: lease.renew(run))
    with transaction.atomic():
        lease.renew(run)
        note_coverage(run.profile)
    finish_step(work, evaluated_at=database_now())


def propose(work: Work) -> None:
    """Withdraw and open candidates in batches. A batch that is committed is not repeated."""
    batches = count()

    def before_batch() -> None:
        # Each part does at least one batch.
        if next(batches):
            work.part.check()
        lease.renew(work.run, tries=0)

    left_out = _refusal(IntegrationProfile.objects.get(pk=work.run.profile_id), Operation.PROPOSE)
    if left_out:
        withdraw(work.run.profile_id, before_batch=before_batch)
    else:
        propose_candidates(work.run, before_batch=before_batch)
    finish_step(work, left_out=left_out)


def write_for_lists(work: Work) -> None:
    """Write the texts of the search and the counts of the previews, and refresh PostgreSQL's statistics."""
    run = work.run
    with transaction.atomic():
        lease.renew(run)
        refresh_search(run.profile)
    with transaction.atomic():
        lease.renew(run)
        count_buckets(run.profile)
        stats = DownloadRun.objects.values_list("stats", flat=True).get(pk=run.pk)
        lease.update_owned(run, stats={**stats, "verdicts": current_counts(run.profile).verdicts})
    with transaction.atomic():
        lease.renew(run)
        count_past(run.profile)
        count_verified(run.profile)
    analyze_if_large(run)
    finish_step(work)


def file_request(work: Work) -> None:
    """File the request of the rule and finish in one transaction, so that a kill never files a second one."""
    try:
        with as_evidence(), transaction.atomic():
            locks.lock_profile(work.run.profile_id)
            file_automatically(work.run.profile)
            finish_step(work)
    except (NotActionable, Refused) as error:
        # A user requested these people first, or paused the profile. The next download tries again.
        finish_step(work, left_out=str(error))
