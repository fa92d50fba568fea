"""Real processes: a worker and a scheduler say how they are, and what they do is seen by others."""

from __future__ import annotations

import math
import re
import subprocess
import sys
import time

import pytest
from django.db import InterfaceError, OperationalError, connection
from django.test.utils import CaptureQueriesContext
from django_celery_beat.models import PeriodicTask
from django_celery_beat.schedulers import DatabaseScheduler

from integrations.installation import processes
from integrations.models import CheckResult, Heartbeat, ProcessKind, TaskRun
from licensehub.build import version
from licensehub.celery import app
from licensehub.operations import tasks
from licensehub.operations.doctor.checks.processes import scheduler_finding, workers_finding
from licensehub.operations.doctor.findings import Level
from licensehub.operations.processes.beat import TRY_AGAIN_SECONDS, Entry, Scheduler
from licensehub.operations.queues import paces, waiting
from tests.support.servers.workers import environment_for_children

pytestmark = pytest.mark.worker
# Beat sends its first message after half a minute, and a busy machine starts it slowly.
MAX_WAIT = 90


def wait_until(condition, what: str) -> None:
    deadline = time.monotonic() + MAX_WAIT
    while not condition():
        assert time.monotonic() < deadline, what
        time.sleep(0.1)


@pytest.fixture
def beat(real_transactions, valkey, tmp_path):
    """A real scheduler."""
    command = [sys.executable, "-m", "celery", "-A", "licensehub", "beat", "--loglevel", "INFO"]
    command += ["--pidfile", str(tmp_path / "beat.pid")]
    with (tmp_path / "beat.log").open("wb") as out:
        process = subprocess.Popen(command, env=environment_for_children(), stdout=out, stderr=out)
    yield process
    process.kill()
    process.wait()


def test_a_database_that_is_away_does_not_end_the_scheduler(db, monkeypatch):
    """Celery ends beat for each error that it does not expect, and `make run` would stop everything then."""
    scheduler, answers = Scheduler.__new__(Scheduler), [OperationalError("away"), InterfaceError("closed"), 4.5]
    scheduler._next = math.inf

    def tick(self):
        answer = answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    monkeypatch.setattr(DatabaseScheduler, "tick", tick)
    assert [scheduler.tick() for _ in range(3)] == [TRY_AGAIN_SECONDS, TRY_AGAIN_SECONDS, 4.5]


def test_they_are_seen_while_they_live(celery_worker_process, beat):
    tasks.run_all_checks.delay()
    assert waiting()[0].count >= 1
    worker = celery_worker_process()
    wait_until(lambda: CheckResult.objects.filter(check_id="workers").exists(), "no check ran")
    wait_until(lambda: TaskRun.objects.filter(task=tasks.run_all_checks.name).exists(), "no task was noted")
    noted = TaskRun.objects.get(task=tasks.run_all_checks.name)
    assert noted.waited > 0
    assert noted.queue in paces()
    (row,) = Heartbeat.objects.filter(kind=ProcessKind.WORKER)
    assert (row.version, row.queues) == (version(), sorted(one.queue for one in waiting()))
    assert row.facts["processes"] == 1
    assert row.facts["disk_free"] > 0
    # The scheduler is alive at once, and believed as soon as a message of it has arrived.
    scheduler = Heartbeat.objects.filter(kind=ProcessKind.BEAT)
    wait_until(lambda: scheduler.filter(seen_at__isnull=False, scheduled_at__isnull=False).exists(), "no scheduler")
    assert scheduler.get().name == f"gen{beat.pid}@{processes.this_host()}"
    known = processes.processes()
    assert scheduler_finding(known).level == Level.OK
    assert workers_finding(known).level == Level.OK
    # Who ends as it should is missed by nobody.
    worker.stop()
    assert not Heartbeat.objects.filter(kind=ProcessKind.WORKER).exists()
    beat.terminate()
    beat.wait(MAX_WAIT)
    assert not scheduler.exists()


def test_a_heartbeat_is_seen_by_a_health_check_that_asks_nobody(db, settings, tmp_path):
    settings.HEARTBEAT_FILE = str(tmp_path / "heartbeat")
    processes.beat(ProcessKind.BEAT, "gen7@one")
    assert (tmp_path / "heartbeat").exists()


def test_who_is_killed_is_missed(celery_worker_process, monkeypatch):
    worker = celery_worker_process()
    wait_until(Heartbeat.objects.filter(kind=ProcessKind.WORKER).exists, "no heartbeat")
    worker.kill()
    row = Heartbeat.objects.get()
    monkeypatch.setattr(processes, "SILENT_AFTER", processes.timedelta(seconds=0))
    found = workers_finding(processes.processes())
    assert (found.level, found.title) == (Level.ACT, "No worker runs")
    assert found.since == row.seen_at
    assert tasks.check_installation.name == "licensehub.operations.tasks.check_installation"


def test_the_scheduler_writes_only_when_a_task_ran(db):
    """The database lets it change nothing else: docs/database-roles.md. What somebody changes meanwhile stays."""
    task = PeriodicTask.objects.get(name="Sweep")
    entry = next(Entry(task, app=app))
    PeriodicTask.objects.filter(pk=task.pk).update(enabled=False)
    with CaptureQueriesContext(connection) as asked:
        entry.save()
    (statement,) = [query["sql"] for query in asked if query["sql"].startswith("UPDATE")]
    assert set(re.findall(r'"(\w+)" = ', statement.partition(" WHERE ")[0])) == {"last_run_at", "total_run_count"}
    task.refresh_from_db()
    assert (task.enabled, task.total_run_count) == (False, 1) and task.last_run_at
