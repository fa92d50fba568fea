"""The follow-up of a run: names, team admins, verdicts, candidates, lists, and the request that the rule files.

Each step has a state of its own (`FollowUp`) and may be done twice. After a kill the next part continues it. The run is
complete when all steps are done. A newer run whose facts are written takes over the rest of an older one.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable
from typing import Any

from django.db import transaction
from django.db.models import QuerySet

from integrations.connections import connection_state
from integrations.connectors.contract import ConfigError, Connector
from integrations.credentials import credential_store
from integrations.models import IntegrationProfile
from licensehub.audit.actions import Action
from licensehub.audit.log import record
from licensehub.database.clock import database_now
from subscriptions.downloads import follow_up_steps, lease
from subscriptions.downloads.parts import Part, Work
from subscriptions.models import DownloadRun, RunState
from subscriptions.models.download import STEPS, FollowUp
from subscriptions.turns import MAX_WAIT_IN_A_CALL

STEP_FUNCTIONS: dict[FollowUp, Callable[[Work], None]] = {
    FollowUp.NAMES: follow_up_steps.read_names,
    FollowUp.TEAM_ADMINS: follow_up_steps.read_team_admins,
    FollowUp.VERDICTS: follow_up_steps.evaluate,
    FollowUp.CANDIDATES: follow_up_steps.propose,
    FollowUp.LISTS: follow_up_steps.write_for_lists,
    FollowUp.REQUEST: follow_up_steps.file_request,
}


def first_values() -> dict[str, Any]:
    """The columns of a run whose facts are being written: its follow-up begins."""
    return {
        "state": RunState.EVALUATING,
        "follow_up": STEPS[0],
        "steps": {STEPS[0].value: {"since": database_now().isoformat()}},
        "cursor": "",
        "tries": 0,
    }


def work_on(work: Work) -> None:
    """Do the remaining steps, within `lease.one_part`. Raises PartOver, LeaseLost."""
    run = work.run
    # The token is not read again: another process may have taken the run over.
    run.refresh_from_db(fields=("state", "follow_up", "steps", "cursor", "tries", "problem", "new"))
    while run.state == RunState.EVALUATING:
        work.part.check()
        STEP_FUNCTIONS[FollowUp(run.follow_up)](work)


def resume(run_id: int, *, part: Part | None = None) -> DownloadRun | None:
    """Continue the follow-up of a run that nobody works on. Returns the run; None when there is nothing to do.

    With a `part` it ends with the part: see `parts`. Raises LeaseLost.
    """
    with transaction.atomic():
        run = lease.take(DownloadRun.objects.to_follow_up().filter(pk=run_id))
        if run is None:
            return None
        record(Action.DOWNLOAD_RESUMED, actor=None, target=run, data={"step": run.follow_up, "part": run.parts})
    work = Work(run, part or Part(), _connector(run.profile))
    with lease.one_part(work):
        work_on(work)
    run.refresh_from_db()
    return run


def _connector(profile: IntegrationProfile) -> Connector | None:
    """The connector; None if a person must repair the connection first. The verdicts need no connector."""
    try:
        return credential_store.connector_for(profile, longest_wait=MAX_WAIT_IN_A_CALL)
    except ConfigError as error:
        connection_state.mark_failed(profile, error)
        return None


def supersede(run: DownloadRun) -> None:
    """End the follow-up of older runs: this run has newer facts. Call it in the transaction that writes them."""
    older = DownloadRun.objects.filter(profile=run.profile_id).exclude(pk=run.pk)
    for former in _end(older, FollowUp.SUPERSEDED):
        record(Action.DOWNLOAD_SUPERSEDED, actor=None, target=former, data={"by": run.number})


def stop(profile: IntegrationProfile) -> int:
    """End the follow-up of the profile's last run, in the transaction that archives it. Returns how many runs ended."""
    return len(_end(DownloadRun.objects.filter(profile=profile), FollowUp.STOPPED))


def _end(runs: QuerySet[DownloadRun], ending: FollowUp) -> list[DownloadRun]:
    """Complete these runs with a new token, so that a process that works on one finds that it lost the lease."""
    ended = []
    for run in runs.filter(state=RunState.EVALUATING):
        values = {"state": RunState.COMPLETE, "follow_up": ending, "token": uuid.uuid4()}
        if DownloadRun.objects.filter(pk=run.pk, state=RunState.EVALUATING).update(**values):
            ended.append(run)
    return ended
