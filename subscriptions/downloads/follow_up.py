"""The steps after a complete run: names, team admins, verdicts, candidates, and the request if the rule files it."""

from __future__ import annotations

import contextlib

from integrations import connection_state
from integrations.connectors.contract import Capability, ConfigError, Connector, ConnectorError, NotGranted
from subscriptions.accounts.persons import find_persons
from subscriptions.approvals.request import file_automatically
from subscriptions.candidates.propose import propose_candidates
from subscriptions.downloads import directory
from subscriptions.downloads.team_admins import write_sole_admins
from subscriptions.eligibility.evaluate import evaluate_profile
from subscriptions.eligibility.preview import count_buckets
from subscriptions.errors import NotActionable, Refused
from subscriptions.models import DownloadRun
from subscriptions.search import refresh_search


def complete_facts(run: DownloadRun, connector: Connector) -> None:
    """Add names and team admins to a complete run. A failure is noted on the run, and the next run tries again."""
    if Capability.DIRECTORY in connector.capabilities:
        _write_names(run, connector)
    if Capability.LAST_TEAM_ADMIN in connector.capabilities:
        _write_team_admins(run, connector)


def _write_names(run: DownloadRun, connector: Connector) -> None:
    try:
        directory.write_names(run.profile, connector.directory())
    except ConnectorError as error:
        _note(run, "Names were not read", error)
    else:
        connection_state.mark_working(run.profile, run.profile.connector.reclaim_slot)


def _write_team_admins(run: DownloadRun, connector: Connector) -> None:
    """Without the permission the teams are cleared; after an error the last known teams stay."""
    try:
        write_sole_admins(run.profile, connector.sole_team_admins())
    except NotGranted:
        write_sole_admins(run.profile, {})
    except ConnectorError as error:
        _note(run, "Who is the only admin of a team was not read", error)
    else:
        DownloadRun.objects.filter(pk=run.pk).update(team_admins_checked=True)


def _note(run: DownloadRun, what: str, error: ConnectorError) -> None:
    run.problem = f"{run.problem} {what}: {error.message}".strip()
    DownloadRun.objects.filter(pk=run.pk).update(problem=run.problem)
    if isinstance(error, ConfigError):
        connection_state.mark_failed(run.profile, error)


def evaluate_and_propose(run: DownloadRun) -> None:
    """Update what follows from the facts: search, verdicts, candidates, the counts of previews, and the request."""
    refresh_search(run.profile)
    find_persons(run.profile)
    evaluate_profile(run.profile)
    propose_candidates(run)
    count_buckets(run.profile)
    # Refused when a user requested these people first, or paused the profile. The next download tries again.
    with contextlib.suppress(NotActionable, Refused):
        file_automatically(run.profile)
