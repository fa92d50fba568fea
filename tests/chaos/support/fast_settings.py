"""The Celery application as the workers of a storm run it: the same code, with shorter waits.

A storm of minutes has no time for leases of minutes, and the sandbox's rate limits are off, so ours are lifted, too.
`CHAOS_DEFENSE_OFF=read_first` is the control: items in doubt are blindly sent again. `CHAOS_DIE_IN` names a step of a
download: a worker that reaches this step kills itself with SIGKILL, in the middle of the step.
"""

# ruff: noqa: E402 - models can be imported only after django.setup()

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import django

django.setup()

from integrations.connectors import rate_limit
from integrations.connectors.miro import connector, scim
from integrations.connectors.miro.rest import client
from licensehub.celery import app as app
from subscriptions import sweep
from subscriptions.downloads import follow_up_steps
from subscriptions.downloads import run as downloading
from subscriptions.models import DownloadRun, HoldReason, Reclaim, ReclaimState
from subscriptions.reclaims import engine, holds, lost_answers, outcomes
from subscriptions.reclaims.signed.state import SignedState

SOON = timedelta(seconds=1)
NO_LIMIT = 1_000_000


def hurry() -> None:
    # Longer than any answer of the storm takes: a lease must outlive the call that it covers.
    Reclaim.LEASE = DownloadRun.LEASE = timedelta(seconds=float(os.environ["CHAOS_LEASE"]))
    engine.CLAIM = int(os.environ["CHAOS_CLAIM"])
    engine.claim.__kwdefaults__ = {**(engine.claim.__kwdefaults__ or {}), "count": engine.CLAIM}
    lost_answers.FIRST_HOLD = lost_answers.LONGEST_HOLD = timedelta(seconds=3)
    outcomes.READ_BACK_DELAY = timedelta(seconds=float(os.environ["CHAOS_LEASE"]) / 3)
    holds.RETRY_DELAY = outcomes.RETRY_DELAY = timedelta(seconds=3)
    # An answer that hangs comes when nobody waits for it any more.
    read = float(os.environ["CHAOS_READ"])
    hasty = replace(connector.DEFAULT_LIMITS, read=read, backoff=0.1, max_backoff=0.4)
    init = connector.MiroConnector.__init__
    init.__kwdefaults__ = {"limits": hasty}
    if os.environ.get("CHAOS_LIMITS") != "on":
        rate_limit.MIN_HOLD = 0.2
        scim.READS = scim.WRITES = NO_LIMIT
        client.CREDITS_PER_MINUTE = NO_LIMIT * client.LEVEL_3


def blindly_again() -> None:
    """Send once more where there was no answer, as a queue with retries does."""

    def again(item: Reclaim, words: str, *, status: int | None) -> None:
        outcomes.requeue(item, HoldReason.LATER, wait=SOON, message=words)

    def recover_sends() -> int:
        lost = Reclaim.objects.abandoned().filter(state=ReclaimState.SENDING)
        return lost.update(state=ReclaimState.QUEUED, token=None, lease_until=None)

    read_back = outcomes.read_back

    def read_unless_queued(item: Reclaim, connector: Any) -> str:
        return str(item.state) if item.state == ReclaimState.QUEUED else read_back(item, connector)

    SignedState.refusal = lambda *_: ""  # type: ignore[method-assign]  # the audit knows that it was sent
    engine.mark_in_doubt, engine.read_back, sweep.recover_sends = again, read_unless_queued, recover_sends  # type: ignore[assignment]  # a control


def _kill() -> None:
    os.killpg(os.getpgrp(), signal.SIGKILL)


def die_after(module: object, name: str) -> None:
    """Kill this process after the first call of this function. A transaction around the call is never committed."""
    act: Callable[..., object] = getattr(module, name)

    def act_and_die(*args: object, **options: object) -> None:
        act(*args, **options)
        _kill()

    setattr(module, name, act_and_die)


# Step -> what the process has just done when it dies.
DEATHS = {
    "members": (downloading, "_store"),
    "merge": (downloading, "merge"),
    "names": (follow_up_steps.directory, "gather"),
    "team_admins": (follow_up_steps.team_admins, "gather"),
    "verdicts": (follow_up_steps, "evaluate_profile"),
    "candidates": (follow_up_steps, "propose_candidates"),
    "lists": (follow_up_steps, "refresh_search"),
    "request": (follow_up_steps, "file_automatically"),
}

hurry()
if step := os.environ.get("CHAOS_DIE_IN"):
    die_after(*DEATHS[step])
if os.environ.get("CHAOS_DEFENSE_OFF") == "read_first":
    blindly_again()
