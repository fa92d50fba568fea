"""Apply a saved rule: evaluate everybody, and open candidates at once from the facts of the last complete download.

Nobody becomes a candidate by facts that are in doubt or old. Then the next complete download proposes. No request is
filed here, also if the rule files them: the next download does that, so that a saved rule never asks anybody by itself.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import NamedTuple

from django.utils.translation import gettext as _

from integrations.models import IntegrationProfile
from licensehub.database.clock import database_now
from subscriptions.candidates.propose import open_candidates
from subscriptions.models import DownloadRun, RunState
from subscriptions.reclaims import switches
from subscriptions.reclaims.switches import Operation
from subscriptions.rules import evaluation
from subscriptions.rules.evaluation import RuleEffect
from subscriptions.turns import Turn

# A daily download that is older than this was missed.
MAX_FACTS_AGE = timedelta(hours=26)


class Facts(NamedTuple):
    """The last complete download, and why nobody can be proposed from it: a sentence, else empty.

    `newer` says that a newer download would help.
    """

    run: DownloadRun | None
    why_not: str = ""
    newer: bool = False


class _Outdated(Exception):
    """The facts became older than a download, or a switch changed, while candidates were being opened."""


def facts_to_propose(profile: IntegrationProfile) -> Facts:
    """Whether candidates may be proposed from the facts that are known now. Reads the profile as the object has it."""
    if refusal := switches.refusal(profile, Operation.PROPOSE):
        return Facts(None, refusal)
    runs = DownloadRun.objects.filter(profile=profile).order_by("-pk")
    run = runs.with_facts().first()
    if run is None:
        return Facts(None, _("No download is complete yet."), newer=True)
    if run.state == RunState.EVALUATING:
        return Facts(run, _("{run} is being evaluated, and proposes them at its end.").format(run=run))
    if profile.activity_doubted_at:
        return Facts(run, _("The activity dates of the newest download are in doubt."), newer=True)
    if doubtful := runs.filter(pk__gt=run.pk, state=RunState.QUARANTINED).first():
        return Facts(run, _("The newer download {run} is quarantined.").format(run=doubtful), newer=True)
    if database_now() - run.started_at > MAX_FACTS_AGE:
        hours = int(MAX_FACTS_AGE.total_seconds() // 3600)
        return Facts(
            run, _("The facts of {run} are more than {hours} hours old.").format(run=run, hours=hours), newer=True
        )
    return Facts(run)


def apply_rule(profile: IntegrationProfile, *, turn: Turn | None = None) -> RuleEffect | None:
    """Evaluate everybody, then open candidates, until the turn is over. None while it is not done."""
    return evaluation.evaluate_again(profile, turn=turn, propose=lambda check: _propose(profile.pk, check))


def _propose(profile_id: int, before_batch: Callable[[], None]) -> int:
    """Open candidates while the facts allow it. Returns how many."""
    facts = facts_to_propose(IntegrationProfile.objects.get(pk=profile_id))
    if facts.run is None or facts.why_not:
        return 0

    def check() -> None:
        before_batch()
        # In the transaction of the batch: what changed meanwhile counts.
        if facts_to_propose(IntegrationProfile.objects.get(pk=profile_id)) != facts:
            raise _Outdated

    try:
        return open_candidates(facts.run, before_batch=check)
    except _Outdated:
        # The batches before this one are open. The newer download, or the switch, decides about the others.
        return 0
