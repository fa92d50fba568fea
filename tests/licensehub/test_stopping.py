"""SIGTERM to real processes in the middle of their work: nothing is lost, nothing happens twice, and they end soon."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path

import pytest
import requests
from django.utils import timezone
from gunicorn.config import Config

from integrations.models import Heartbeat, ProcessKind
from licensehub import gunicorn, stopping
from licensehub.audit.actions import Action
from licensehub.audit.models import AuditEvent
from licensehub.embedded.processes import free_port
from subscriptions import sweep, tasks
from subscriptions.approvals import decide
from subscriptions.approvals.request import request_reclaim
from subscriptions.models import DownloadRun, Reclaim, ReclaimRequest, Reconciliation
from subscriptions.reconciliation import reconcile
from tests.support.fixtures import World, actions
from tests.support.people.notices import Asking, states
from tests.support.servers import mail_server as smtp
from tests.support.servers.workers import WorkerProcess, environment_for_children

pytestmark = pytest.mark.worker

MAX_SECONDS = 15.0
# A worker that may stop for a few seconds only, so that a test of what hangs does not wait for the usual limit.
SOON = 4.0
ENDS_SOON = (
    f"from licensehub import stopping; stopping.MAX_STOP_SECONDS = {SOON}; from celery.__main__ import main; main()"
)
POOLS = ("prefork", "solo")
Start = Callable[..., WorkerProcess]


def wait_for(condition: Callable[[], object], seconds: float = 40.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.05)


@pytest.fixture
def start(real_transactions, valkey, world: World, tmp_path: Path) -> Iterator[Start]:
    """`start(pool)` starts a worker with one process, and waits until it takes tasks."""
    urls = world.sandbox.urls()
    started: list[WorkerProcess] = []

    def start(pool: str = "prefork", *, ends_soon: bool = False, **variables: str) -> WorkerProcess:
        log = tmp_path / f"worker-{len(started)}.log"
        celery = ["-c", ENDS_SOON] if ends_soon else ["-m", "celery"]
        command = [sys.executable, *celery, "-A", "licensehub", "worker", "--loglevel", "INFO", "--pool", pool]
        command += ["--concurrency", "1", "--without-gossip", "--without-mingle"]
        addresses = {"MIRO_API_URL": urls["api_url"], "MIRO_SCIM_URL": urls["scim_url"]}
        started.append(WorkerProcess(begin(command, log, **addresses, **variables), log))
        started[-1].wait_until_ready()
        return started[-1]

    yield start
    for worker in started:
        worker.kill()


def begin(command: list[str], log: Path, **variables: str) -> subprocess.Popen[bytes]:
    with log.open("wb") as out:
        return subprocess.Popen(
            command,
            env=environment_for_children(**variables),
            stdout=out,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )


def stop(process: subprocess.Popen[bytes]) -> int:
    """SIGTERM, as systemd sends it. Returns the exit code."""
    process.send_signal(signal.SIGTERM)
    return process.wait(timeout=MAX_SECONDS)


def patches(world: World) -> int:
    return [request["method"] for request in world.miro.requests()].count("PATCH")


def approved(world: World, alice, bob, count: int) -> ReclaimRequest:
    world.first_download()
    request = request_reclaim(world.candidates(count), actor=alice)
    decide.approve(request, actor=bob)
    return request


def people(request: ReclaimRequest) -> list[str]:
    return sorted(removal.evidence["external_id"] for removal in request.removals.all())


@pytest.mark.parametrize("pool", POOLS)
def test_a_download_goes_on_in_the_next_worker(world, start, pool):
    world.miro.set_toggles(latency_ms=800)
    worker = start(pool)
    before = len(world.miro.requests())
    tasks.sweep()
    wait_for(lambda: len(world.miro.requests()) > before)
    assert stop(worker.process) == 0
    under_way = DownloadRun.objects.get()
    assert under_way.state == "running" and under_way.lease_until <= timezone.now()

    world.miro.set_toggles(latency_ms=0)
    start(pool)
    # The stopped worker has enqueued the next part: no sweep is needed.
    wait_for(lambda: DownloadRun.objects.get().state == "complete")
    run = DownloadRun.objects.get()
    assert (run.pk, run.problem, run.parts > 1, run.tries) == (under_way.pk, "", True, under_way.tries)
    assert [actions().count(f"download.{step}") for step in ("started", "completed", "failed")] == [1, 1, 0]


@pytest.mark.parametrize("pool", POOLS)
def test_reclaims_are_sent_once_and_none_is_left_in_the_middle(world, alice, bob, start, pool):
    request = approved(world, alice, bob, 6)
    world.miro.set_toggles(latency_ms=400)
    worker = start(pool)
    tasks.sweep()
    wait_for(lambda: patches(world) >= 2)
    assert stop(worker.process) == 0
    ended = Reclaim.objects.filter(state="done").count()
    assert 2 <= ended == patches(world) < 6
    assert set(Reclaim.objects.values_list("state", flat=True)) == {"done", "queued"}

    world.miro.set_toggles(latency_ms=0)
    start(pool)
    wait_for(lambda: Reclaim.objects.filter(state="done").count() == 6)
    assert patches(world) == 6
    assert sorted(world.deactivated_by_us()) == people(request)
    assert actions().count("reclaim.in_doubt") == 0


def test_a_send_that_hangs_does_not_keep_the_worker_and_is_read_back(world, alice, bob, start):
    approved(world, alice, bob, 3)
    world.miro.fault("hang", match={"method": "PATCH"}, seconds=SOON + 5, late=True)
    worker = start(ends_soon=True)
    tasks.sweep()
    wait_for(lambda: patches(world) == 1)
    began = time.monotonic()
    assert stop(worker.process) == 1, "it ends as if it were killed"
    assert time.monotonic() - began >= SOON - 0.5, "not before the time that a call has to end"
    # The next worker is there before the vendor has done it, and leaves it alone until its lease ends.
    start()
    wait_for(lambda: len(world.deactivated_by_us()) == 1)
    assert sorted(Reclaim.objects.values_list("state", flat=True)) == ["claimed", "claimed", "sending"]

    Reclaim.objects.update(lease_until=timezone.now() - timedelta(seconds=1))
    sweep.repair()
    tasks.sweep()
    wait_for(lambda: Reclaim.objects.filter(state="done").count() == 3)
    assert (patches(world), len(set(world.deactivated_by_us()))) == (3, 3)


def test_the_mail_in_hand_is_handed_over_and_the_others_wait(asking: Asking, start):
    request = asking.request(3)
    asking.server.mode, asking.server.hangs = smtp.HANG_AFTER, 4.0
    server = f"smtp://127.0.0.1:{asking.server.port}"
    worker = start(EMAIL_URL=server)
    tasks.sweep()
    wait_for(lambda: len(asking.server.mails) == 1)
    assert stop(worker.process) == 0
    assert sorted(states(request)) == ["due", "due", "sent"]

    asking.server.mode = smtp.ACCEPT
    start(EMAIL_URL=server)
    tasks.sweep()
    wait_for(lambda: states(request) == ["sent"] * 3)
    assert len(asking.server.addresses()) == len(set(asking.server.addresses())) == 3


@pytest.mark.parametrize("asked", [True, False])
def test_a_reconciliation_begins_again_for_the_person_who_asked(world, alice, bob, start, asked):
    approved(world, alice, bob, 2)
    tasks.reclaim(world.profile.pk)
    if asked:
        reconcile.request_by(world.profile, actor=alice)
    world.miro.set_toggles(latency_ms=1500)
    worker = start()
    before = len(world.miro.requests())
    assert tasks.enqueue_task(tasks.reconcile_ledger, world.profile.pk)
    wait_for(lambda: len(world.miro.requests()) > before)
    assert stop(worker.process) == 0
    assert Reconciliation.objects.get().problem == reconcile.STOPPED

    world.miro.set_toggles(latency_ms=0)
    start()
    wait_for(lambda: Reconciliation.objects.filter(finished_at__isnull=False).count() == 2)
    last = Reconciliation.objects.order_by("pk").last()
    assert (last.problem, last.people, last.findings) == ("", 2, [])
    event = AuditEvent.objects.filter(action=Action.LEDGER_RECONCILED).order_by("sequence").last()
    assert event.actor_id == (alice.pk if asked else None)
    assert reconcile.latest().get() == last


def test_a_wait_that_the_vendor_asked_for_keeps_no_worker(world, start):
    world.miro.fault("rate_limited", seconds=30, match={"method": "GET"})
    worker = start()
    before = len(world.miro.requests())
    tasks.sweep()
    wait_for(lambda: len(world.miro.requests()) > before)
    time.sleep(1)
    began = time.monotonic()
    assert stop(worker.process) == 0
    assert time.monotonic() - began < stopping.MAX_STOP_SECONDS
    run = DownloadRun.objects.get()
    assert (run.state, run.problem) == ("running", "")
    assert run.lease_until > timezone.now() + timedelta(seconds=5), "the next part waits as the vendor asked"


def test_beat_ends_at_once(real_transactions, valkey, tmp_path):
    log = tmp_path / "beat.log"
    beat = begin([sys.executable, "-m", "celery", "-A", "licensehub", "beat", "--loglevel", "INFO"], log)
    try:
        wait_for(lambda: Heartbeat.objects.filter(kind=ProcessKind.BEAT).exists())
        # It has sent what was due, and sleeps.
        time.sleep(1)
        assert stop(beat) == 0
    finally:
        beat.kill()
        beat.wait()


SLOW_SITE = """
import pathlib, time
def application(environ, start_response):
    seconds = environ["QUERY_STRING"]
    pathlib.Path(__file__).with_name(f"began-{seconds}").touch()
    time.sleep(float(seconds))
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [b"all of it"]
"""


def test_the_web_process_answers_what_has_begun(tmp_path, allow_http):
    """A task that takes longer than the time to end is broken off."""
    assert "graceful_timeout" in Config().settings and gunicorn.graceful_timeout < MAX_SECONDS
    (tmp_path / "slow_site.py").write_text(SLOW_SITE)
    port = free_port()
    allow_http(f"http://127.0.0.1:{port}")
    command = [sys.executable, "-m", "gunicorn", "--config", "python:licensehub.gunicorn", "slow_site:application"]
    command += ["--chdir", str(tmp_path), "--bind", f"127.0.0.1:{port}", "--threads", "2", "--no-control-socket"]
    command += ["--graceful-timeout", f"{SOON:.0f}"]
    log = tmp_path / "web.log"
    web = begin(command, log)
    try:
        wait_for(lambda: "Booting worker" in log.read_text())
        with ThreadPoolExecutor(2) as threads:
            url = f"http://127.0.0.1:{port}/"
            soon, late = (threads.submit(requests.get, f"{url}?{seconds}", timeout=60) for seconds in (2.5, 40))
            wait_for(lambda: len(list(tmp_path.glob("began-*"))) == 2)
            assert stop(web) == 0
            assert soon.result().text == "all of it"
            assert isinstance(late.exception(), requests.ConnectionError)
    finally:
        web.kill()
        web.wait()
