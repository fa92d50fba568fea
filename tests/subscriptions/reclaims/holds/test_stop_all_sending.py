"""The switch for everything, flipped while a real worker sends as fast as it can."""

from __future__ import annotations

import time
from datetime import UTC, datetime

import pytest
from django.core.management import CommandError, call_command

from integrations import sending
from subscriptions import tasks
from subscriptions.approvals import decide
from subscriptions.approvals.request import request_reclaim
from subscriptions.models import Reclaim
from subscriptions.profiles import lifecycle
from tests.support.fixtures import actions

pytestmark = pytest.mark.worker
PEOPLE = 16
# What may still begin after the flip.
GRACE = 2.0


def patches(world) -> list[tuple[str, datetime]]:
    """The person of each deactivation, and when the sandbox received it."""
    requests = world.miro.requests()
    return [
        (entry["member"], datetime.fromisoformat(entry["received"])) for entry in requests if entry["method"] == "PATCH"
    ]


def sent(world) -> list[datetime]:
    return [moment for _, moment in patches(world)]


def wait_for(condition, seconds: float = 60.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.02)


@pytest.fixture
def sending_worker(world, alice, bob, celery_worker_process):
    """A worker that is in the middle of its sends."""
    world.download()
    decide.approve(request_reclaim(world.candidates(PEOPLE), actor=alice), actor=bob)
    world.miro.set_toggles(latency_ms=300)
    urls = world.sandbox.urls()
    celery_worker_process(MIRO_API_URL=urls["api_url"], MIRO_SCIM_URL=urls["scim_url"])
    tasks.sweep()
    wait_for(lambda: len(sent(world)) >= 3)
    return world


SWITCHES = {
    "everything": (
        lambda world, user: sending.stop_all(actor=user, reason="A drill"),
        lambda world, user: sending.allow_all(actor=user),
    ),
    "one profile": (
        lambda world, user: lifecycle.stop_sending(world.profile, actor=user),
        lambda world, user: lifecycle.allow_sending(world.profile, actor=user),
    ),
}


@pytest.mark.parametrize("switch", SWITCHES)
def test_nothing_more_is_sent_two_seconds_after_the_flip_and_nothing_is_lost(sending_worker, alice, switch):
    stop, allow = SWITCHES[switch]
    stop(sending_worker, alice)
    flipped = datetime.now(UTC)
    # These were begun before the flip, so they end. A worker without processor time may take long for that.
    begun = set(Reclaim.objects.filter(state="sending").values_list("subscription__external_id", flat=True))
    wait_for(lambda: not Reclaim.objects.filter(state__in=("claimed", "sending")).exists())
    time.sleep(GRACE + 2)
    tasks.sweep()
    time.sleep(1)

    times = sent(sending_worker)
    late = {who: (moment - flipped).total_seconds() for who, moment in patches(sending_worker) if who not in begun}
    assert max(late.values()) <= GRACE, late
    assert len(begun) <= 1, "one person is sent at a time"
    done = Reclaim.objects.filter(state="done").count()
    assert 3 <= done == len(times) < PEOPLE
    waiting = Reclaim.objects.exclude(state="done")
    assert {(item.state, item.hold_reason) for item in waiting} == {("queued", "sending_stopped")}

    allow(sending_worker, alice)
    Reclaim.objects.update(not_before=None)
    tasks.sweep()
    wait_for(lambda: Reclaim.objects.filter(state="done").count() == PEOPLE)
    assert len(sent(sending_worker)) == len(set(sending_worker.deactivated_by_us())) == PEOPLE
    assert actions().count("reclaim.done") == PEOPLE


def test_the_control_without_a_flip_goes_on_for_longer(sending_worker):
    begun = datetime.now(UTC)
    wait_for(lambda: len(sent(sending_worker)) == PEOPLE)
    assert (sent(sending_worker)[-1] - begun).total_seconds() > GRACE


def test_the_command(db):
    call_command("stop_sending", "Miro is down for maintenance")
    assert (sending.control().stopped, sending.control().reason) == (True, "Miro is down for maintenance")
    with pytest.raises(CommandError, match="stopped already"):
        call_command("stop_sending", "again")
    call_command("stop_sending", "--allow")
    assert not sending.control().stopped
    with pytest.raises(CommandError, match="Say in a few words"):
        call_command("stop_sending")
