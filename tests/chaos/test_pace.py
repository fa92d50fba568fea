"""Pace: two workers together use what Miro's SCIM allows, and are never told to slow down (429)."""

from __future__ import annotations

import time
from datetime import datetime

import pytest

from integrations.connectors.miro.sandbox.behavior.limits import SCIM_CALLS
from integrations.connectors.miro.sandbox.control import SandboxControl
from subscriptions import tasks
from tests.chaos.support.processes import Workers, sandbox_process
from tests.chaos.support.storm import Plan, approved_people

WINDOW = 30.0
WINDOWS = 3
# The first requests of the budget's own window come in a burst; what is measured begins after that.
LIMIT = SCIM_CALLS["PATCH"]
PLAN = Plan(approved=520, by_hand=0, doubts=0, seed=5, workers=2, lease=180.0, read=20.0)


@pytest.mark.chaos
def test_two_workers_reach_the_documented_limit(
    real_transactions, broker_process, tmp_path, allow_http, settings, alice, bob, figures
):
    with sandbox_process(members=PLAN.members, seed=PLAN.seed) as urls:
        allow_http(urls["api_url"])
        addresses = {"api": urls["api_url"], "authorize": urls["authorize_url"], "scim": urls["scim_url"]}
        settings.CONNECTOR_ADDRESSES = {"miro_enterprise": addresses}
        miro = SandboxControl(urls["api_url"])
        profile = approved_people(PLAN, urls, (alice, bob))
        miro.set_toggles(team_admin_deactivation="allow")
        broker_process.flush()
        variables = {
            "MIRO_API_URL": urls["api_url"],
            "MIRO_SCIM_URL": urls["scim_url"],
            "RATE_SHARE": "100",
            "CHAOS_LIMITS": "on",
        }
        workers = Workers(tmp_path / "workers.log", PLAN.workers, {**PLAN.variables(), **variables})
        try:
            workers.start()
            for _ in range(PLAN.workers):
                tasks.enqueue_task(tasks.reclaim, profile.pk)
            time.sleep((WINDOWS + 1) * WINDOW + 5)
        finally:
            workers.end()
            broker_process.flush()
        sent = patches(miro)
        limited = sum(request["status"] == 429 for request in miro.requests())
    counts = [sum(begin <= at < begin + WINDOW for at in sent) for begin in windows(sent[0])]
    share = sum(counts) / (LIMIT * WINDOWS)
    figures.note(patches_per_window=counts, of_the_limit=f"{share:.1%}", answers_429=limited)
    assert limited == 0
    assert share >= 0.98


def patches(miro: SandboxControl) -> list[float]:
    """Return when the writes came in, in seconds."""
    return sorted(datetime.fromisoformat(patch[0]).timestamp() for patch in miro.summary()["patches"])


def windows(first: float) -> list[float]:
    """Count as Miro does: from full half minutes on, after the first one."""
    begin = (first // WINDOW + 1) * WINDOW
    return [begin + number * WINDOW for number in range(WINDOWS)]
