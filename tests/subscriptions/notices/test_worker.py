"""A real Celery worker, and SIGKILL while the mail server has the mail: nobody is mailed twice."""

from __future__ import annotations

import time

import pytest

from subscriptions import sweep, tasks
from subscriptions.models import Notice
from subscriptions.notices import delivery
from tests.support.people.notices import Asking, due_again, lease_over, people, states
from tests.support.servers import mail_server as smtp

pytestmark = pytest.mark.worker


def wait_for(condition, seconds: float = 40.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.05)


@pytest.fixture
def start_worker(celery_worker_process, asking: Asking):
    urls = asking.world.sandbox.urls()
    return lambda: celery_worker_process(
        MIRO_API_URL=urls["api_url"],
        MIRO_SCIM_URL=urls["scim_url"],
        EMAIL_URL=f"smtp://127.0.0.1:{asking.server.port}",
    )


def test_the_worker_sends_the_mails_that_the_sweep_enqueues(asking: Asking, start_worker):
    request = asking.request(3)
    start_worker()

    tasks.sweep()

    wait_for(lambda: states(request) == ["sent"] * 3)
    assert len(asking.server.mails) == 3


def test_a_worker_that_is_killed_in_the_hand_over_leaves_a_doubt(asking: Asking, start_worker):
    request = asking.request(1)
    asking.server.mode = smtp.HANG_AFTER
    worker = start_worker()
    tasks.sweep()
    wait_for(lambda: len(asking.server.mails) == 1)
    worker.kill()

    assert states(request) == ["sending"]
    asking.server.mode = smtp.ACCEPT
    sweep.repair()
    assert delivery.profiles_to_ask() == []
    lease_over()
    for _ in range(3):
        sweep.repair()
        due_again()
        asking.hand_over()

    assert states(request) == ["in_doubt"]
    assert len(asking.server.mails) == 1
    [person] = people(request)
    assert person.dropped_at
    assert person.candidate.state == "attention_required"
    assert not Notice.objects.filter(kind="reminder").exists()
