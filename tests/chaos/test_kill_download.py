"""A real worker gets SIGKILL in each step of a download. The next worker continues, as the sweep enqueues it."""

from __future__ import annotations

import os
import time
from collections.abc import Callable

import pytest

from integrations.models import IntegrationProfile
from licensehub.audit.models import AuditEvent
from subscriptions import tasks
from subscriptions.eligibility.evaluate import evaluate_profile
from subscriptions.models import (
    DownloadedMember,
    DownloadRun,
    ReclaimRequest,
    ReclaimRule,
    RemovalCandidate,
    Subscription,
)
from tests.chaos.support.checker import audit_findings
from tests.chaos.support.processes import Workers, sandbox_process
from tests.support.fixtures import connect

MEMBERS = 2500
LEASE = 2.0
STEPS = ("members", "merge", "names", "team_admins", "verdicts", "candidates", "lists", "request")
VARIABLES = {"CHAOS_LEASE": str(LEASE), "CHAOS_CLAIM": "5", "CHAOS_READ": "20"}


def wait_for(condition: Callable[[], bool], what: str, seconds: float = 60.0) -> None:
    until = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < until, what
        time.sleep(0.1)


def is_dead(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    return False


@pytest.mark.chaos
def test_a_worker_is_killed_in_each_step(real_transactions, broker_process, tmp_path, allow_http, settings, figures):
    with sandbox_process(members=MEMBERS, seed=11) as urls:
        allow_http(urls["api_url"])
        settings.CONNECTOR_ADDRESSES = {
            "miro_enterprise": {"api": urls["api_url"], "authorize": urls["authorize_url"], "scim": urls["scim_url"]}
        }
        addresses = {"MIRO_API_URL": urls["api_url"], "MIRO_SCIM_URL": urls["scim_url"]}
        connect(urls)
        ReclaimRule.objects.update(file_requests="automatic")
        killed = [die_in(step, tmp_path / f"{step}.log", addresses, broker_process) for step in STEPS]
        began = time.monotonic()
        last = Workers(tmp_path / "last.log", 1, {**VARIABLES, **addresses})
        try:
            last.start()
            time.sleep(LEASE)
            tasks.enqueue_task(tasks.sweep)
            wait_for(lambda: DownloadRun.objects.get().state == "complete", "The run does not come to its end.")
        finally:
            last.end()
            broker_process.flush()
    figures.note(killed_in=killed, last_part=f"{time.monotonic() - began:.1f} s")
    assert killed == list(STEPS)
    check_the_end()


def die_in(step: str, log, addresses: dict[str, str], broker_process) -> str:
    """Start a worker that kills itself in the step. Returns the step in which the run is then."""
    broker_process.flush()
    workers = Workers(log, 1, {**VARIABLES, **addresses, "CHAOS_DIE_IN": step})
    try:
        workers.start()
        [pid] = workers.running
        time.sleep(LEASE)
        tasks.enqueue_task(tasks.sweep)
        wait_for(lambda: is_dead(pid), f"Nobody died in {step}.")
    finally:
        workers.end()
    run = DownloadRun.objects.get()
    if run.state == "running":
        return "merge" if run.all_pages_in else "members"
    return str(run.follow_up)


def check_the_end() -> None:
    """Check that the result is the same as after a download without a kill."""
    run = DownloadRun.objects.get()
    assert (run.read, run.new, run.follow_up, run.problem) == (MEMBERS, MEMBERS, "done", "")
    assert Subscription.objects.count() == MEMBERS and not DownloadedMember.objects.exists()
    assert not Subscription.objects.filter(role="organization_internal_user", name="").exists()
    assert Subscription.objects.exclude(sole_admin_of="").exists()
    assert evaluate_profile(IntegrationProfile.objects.get()) == 0
    assert RemovalCandidate.objects.open().count() == Subscription.objects.candidates().count() > 0
    assert ReclaimRequest.objects.count() == 1
    for action in ("download.started", "download.completed", "download.evaluated"):
        assert AuditEvent.objects.filter(action=action).count() == 1, action
    assert list(audit_findings()) == []
