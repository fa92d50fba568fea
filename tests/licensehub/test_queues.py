from __future__ import annotations

import ast
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from celery import current_app
from django.conf import settings

from licensehub import queues
from licensehub.build import PACKAGES
from subscriptions import tasks
from tests.support.servers.workers import environment_for_children

CONFIGURATION = Path(settings.BASE_DIR) / "docs" / "configuration.md"


def test_each_task_waits_in_a_declared_queue():
    current_app.loader.import_default_modules()
    ours = sorted(name for name in current_app.tasks if name.split(".")[0] != "celery")
    named = [task for group in queues.TASKS.values() for task in group]
    assert sorted(named) == ours, "licensehub/queues.py names each task once, and no other"
    routed = {task: current_app.amqp.router.route({}, task)["queue"].name for task in ours}
    assert routed == {task: route["queue"] for task, route in queues.ROUTES.items()}
    # A worker without --queues serves all of them.
    assert set(current_app.amqp.queues.consume_from) == set(queues.TASKS)
    assert current_app.amqp.router.route({}, "celery.backend_cleanup")["queue"].name == queues.DEFAULT
    missing = [name for name in queues.TASKS if f"| `{name}` |" not in CONFIGURATION.read_text()]
    assert not missing, "docs/configuration.md explains each queue"


# Each leaves work to a broker or to one worker, which may lose it: see docs/adr/0003-queue-of-record.md.
CALLS = {"apply_async", "send_task", "retry"}
OPTIONS = {"countdown", "eta", "autoretry_for"}
CANVAS = {"chain", "chord", "chunks", "group", "signature"}


def left_to_the_broker(source: str) -> list[str]:
    found: list[str] = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Call):
            found += [node.func.attr] if isinstance(node.func, ast.Attribute) and node.func.attr in CALLS else []
            found += [keyword.arg for keyword in node.keywords if keyword.arg in OPTIONS]
        elif isinstance(node, ast.ImportFrom) and (node.module or "").startswith("celery"):
            found += [name.name for name in node.names if name.name in CANVAS]
    return found


def test_no_work_is_left_to_the_broker():
    code = [path for name in PACKAGES for path in (Path(settings.BASE_DIR) / name).rglob("*.py")]
    found = {str(path): names for path in code if (names := left_to_the_broker(path.read_text()))}
    assert len(code) > 500 and not found
    assert current_app.conf.result_backend is None and current_app.conf.task_ignore_result
    control = """
from celery import chord
task.apply_async(args, countdown=5)
self.retry(eta=moment)
shared_task(autoretry_for=(Exception,))(work)
"""
    assert sorted(left_to_the_broker(control)) == ["apply_async", "autoretry_for", "chord", "countdown", "eta", "retry"]


def wait_until(condition: Callable[[], bool], seconds: float = 30.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.1)


@pytest.mark.worker
def test_a_worker_takes_the_tasks_of_its_queues_only(real_transactions, valkey, celery_worker_process):
    # Nothing is due for a profile that is not there.
    assert tasks.enqueue_task(tasks.download_due, 0)
    assert tasks.enqueue_task(tasks.notify_colleagues)
    assert tasks.enqueue_task(tasks.reconcile_all)
    some = celery_worker_process(only="mail,default")
    wait_until(lambda: [valkey.llen(name) for name in queues.TASKS] == [1, 0, 0, 0])
    wait_until(lambda: some.log.read_text().count(" succeeded in ") == 2)
    assert f"{tasks.download_due.name}[" not in some.log.read_text()
    everything = celery_worker_process()
    wait_until(lambda: f"{tasks.download_due.name}[" in everything.log.read_text())
    wait_until(lambda: not valkey.llen("download"))

    misspelled = [sys.executable, "-m", "celery", "-A", "licensehub", "worker", "--queues", "downloads"]
    ended = subprocess.run(misspelled, env=environment_for_children(), capture_output=True, text=True, timeout=60)
    assert ended.returncode and "downloads" in ended.stderr
