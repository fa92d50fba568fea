"""Tests with real processes: a real Valkey, a real Celery worker, SIGKILL, and a flushed broker."""

from __future__ import annotations

import time
from datetime import timedelta

import pytest
from django.utils import timezone

from subscriptions import sweep, tasks
from subscriptions.approvals import decide
from subscriptions.approvals.request import request_reclaim
from subscriptions.models import DownloadRun, Reclaim, ReclaimRequest
from tests.support.fixtures import World, actions

pytestmark = pytest.mark.worker


@pytest.fixture
def start_worker(celery_worker_process, world):
    urls = world.sandbox.urls()
    return lambda: celery_worker_process(MIRO_API_URL=urls["api_url"], MIRO_SCIM_URL=urls["scim_url"])


def approved(world: World, alice, bob, count: int) -> ReclaimRequest:
    world.first_download()
    request = request_reclaim(world.candidates(count), actor=alice)
    decide.approve(request, actor=bob)
    return request


def wait_for(condition, seconds: float = 40.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.1)


def methods(world: World) -> list[str]:
    return [request["method"] for request in world.miro.requests()]


def people(request: ReclaimRequest) -> list[str]:
    return sorted(removal.evidence["external_id"] for removal in request.removals.all())


def test_the_worker_does_what_the_sweep_enqueues(world, alice, bob, start_worker):
    request = approved(world, alice, bob, 5)
    start_worker()

    tasks.sweep()

    wait_for(lambda: Reclaim.objects.filter(state="done").count() == 5)
    assert sorted(world.deactivated_by_us()) == people(request)
    assert actions().count("reclaim.done") == 5


def test_a_first_download_needs_no_hand(world, start_worker):
    start_worker()

    tasks.sweep()
    tasks.sweep()

    wait_for(lambda: DownloadRun.objects.filter(state="complete").exists())
    assert DownloadRun.objects.count() == 1


def test_a_task_that_was_lost_is_enqueued_again(world, alice, bob, start_worker, valkey):
    request = approved(world, alice, bob, 3)
    tasks.sweep()
    valkey.flushall()
    start_worker()
    assert Reclaim.objects.filter(state="queued").count() == 3

    tasks.sweep()

    wait_for(lambda: Reclaim.objects.filter(state="done").count() == 3)
    assert sorted(world.deactivated_by_us()) == people(request)


def test_a_worker_killed_while_it_waits_for_the_answer(world, alice, bob, start_worker):
    """Applied at Miro, answer never seen: read back as inactive, and never sent a second time."""
    request = approved(world, alice, bob, 1)
    world.miro.fault("hang", match={"method": "PATCH"}, seconds=3, late=True)
    worker = start_worker()
    tasks.sweep()
    wait_for(lambda: "PATCH" in methods(world))
    worker.kill()
    wait_for(lambda: world.deactivated_by_us() == people(request))

    sweep.repair()
    assert Reclaim.objects.get().state == "sending", "its lease has not ended yet"
    Reclaim.objects.update(lease_until=timezone.now() - timedelta(seconds=1))
    sweep.repair()
    sweep.read_back_doubts(world.profile)

    item = Reclaim.objects.get()
    assert (item.state, item.read_back) == ("done", "inactive")
    assert item.removal.candidate.close_reason == "confirmed_later"
    assert methods(world).count("PATCH") == 1
    assert actions().index("reclaim.sending") < actions().index("reclaim.in_doubt") < actions().index("reclaim.done")
