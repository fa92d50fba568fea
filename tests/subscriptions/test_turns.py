"""Organizations share the workers: a large one keeps no small one waiting for its end."""

from __future__ import annotations

import csv
import threading
import time
from collections import deque
from types import SimpleNamespace

import pytest
from django.utils import timezone

from integrations.connectors.contract import Page, TransientError
from integrations.credentials import credential_store
from integrations.models import IntegrationProfile
from licensehub import stopping
from subscriptions import sweep, tasks, turns
from subscriptions.approvals import decide
from subscriptions.approvals.request import request_reclaim
from subscriptions.candidates import withdraw
from subscriptions.downloads import follow_up, outages
from subscriptions.downloads import run as downloading
from subscriptions.models import DownloadRun, Reclaim, ReclaimRule, RemovalCandidate
from subscriptions.profiles import lifecycle
from subscriptions.reclaims import engine
from subscriptions.rules import evaluation
from subscriptions.turns import SLOT_SECONDS, Turn
from tests.integrations.connectors.csv_vendor.connector import CsvConnector
from tests.integrations.connectors.csv_vendor.test_csv_vendor import COLUMNS, active
from tests.support.fixtures import without_caps

SIZES = {"large": 6, "small": 2}


@pytest.fixture
def clock(monkeypatch) -> SimpleNamespace:
    now = SimpleNamespace(seconds=1000.0)
    monkeypatch.setattr(turns, "time", SimpleNamespace(monotonic=lambda: now.seconds))
    return now


@pytest.fixture
def files(tmp_path, settings, monkeypatch):
    """The vendors: one file each, of which each page has one person."""
    settings.CONNECTORS = {"csv_file": "tests.integrations.connectors.csv_vendor.connector.CsvConnector"}
    made = {}
    for name, size in SIZES.items():
        made[name] = tmp_path / f"{name}.csv"
        people = [
            (n, f"{name} {n}", f"{n}@{name}.example", "yes", "pen", "clerk", "2020-01-01", "2020-02-01")
            for n in range(1, size + 1)
        ]
        with made[name].open("w", newline="") as out:
            csv.writer(out).writerows([COLUMNS, *people])
    read_all = CsvConnector.members

    def one_by_one(self, cursor=""):
        (page,) = read_all(self)
        for n in range(int(cursor or 0), len(page.members)):
            yield Page([page.members[n]], str(n + 1) if n + 1 < len(page.members) else "")

    monkeypatch.setattr(CsvConnector, "members", one_by_one)
    return made


@pytest.fixture
def profiles(db, files) -> dict[str, IntegrationProfile]:
    made = {}
    for number, (name, path) in enumerate(files.items(), 77):
        made[name] = lifecycle.create_profile(name=name, organization_id=str(number), kind="csv_file", actor=None)
        credential_store.set_credentials(made[name], "file", {"path": str(path)}, actor=None)
        lifecycle.publish(made[name], actor=None)
        without_caps(made[name])
    return made


@pytest.fixture
def worker(profiles, monkeypatch):
    """One worker with one queue. Returns a function that works until the queue is empty, and says who ended when."""
    queue: deque = deque()
    monkeypatch.setattr(tasks, "enqueue_task", lambda task, *ids: queue.append((task, *ids)))
    monkeypatch.setattr(downloading, "MAX_PAGES_AT_ONCE", 1)
    monkeypatch.setattr(engine, "CLAIM", 1)
    monkeypatch.setattr(turns, "SLOT_SECONDS", 0.0)

    def work(task, has_ended) -> list[str]:
        queue.extend((task, profile.pk) for profile in profiles.values())
        ended: list[str] = []
        while queue:
            task, *ids = queue.popleft()
            task(*ids)
            ended += [name for name, profile in profiles.items() if name not in ended and has_ended(profile)]
        return ended

    return work


def is_downloaded(profile) -> bool:
    return DownloadRun.objects.filter(profile=profile, state="complete").exists()


def is_withdrawn(profile) -> bool:
    return not RemovalCandidate.objects.open().filter(profile=profile).exists()


def is_reclaimed(profile) -> bool:
    items = Reclaim.objects.filter(profile=profile)
    return set(items.values_list("state", flat=True)) == {"done"}


def test_a_small_organization_is_downloaded_while_a_large_one_is(worker, profiles, files):
    assert worker(tasks.download_due, is_downloaded) == ["small", "large"]
    assert {run.profile.name: run.read for run in DownloadRun.objects.all()} == SIZES
    assert DownloadRun.objects.get(profile=profiles["large"]).parts > 1


def test_a_small_organization_is_evaluated_while_a_large_one_is(worker, profiles, monkeypatch):
    worker(tasks.download_due, is_downloaded)
    assert {
        profile.name: RemovalCandidate.objects.filter(profile=profile).count() for profile in profiles.values()
    } == SIZES
    monkeypatch.setattr(withdraw, "BATCH", 1)
    ReclaimRule.objects.update(last_activity_threshold=36_500, evaluation_due_at=timezone.now())
    assert worker(tasks.evaluate_again, is_withdrawn) == ["small", "large"]
    assert evaluation.profiles_to_evaluate() == []


def test_a_large_organization_keeps_the_worker_while_nobody_waits(worker, profiles):
    IntegrationProfile.objects.filter(pk=profiles["small"].pk).update(download_due_at=None)
    profiles.pop("small")
    assert worker(tasks.download_due, is_downloaded) == ["large"]
    assert DownloadRun.objects.get().parts == 1


def test_a_small_organization_is_reclaimed_while_a_large_one_is(worker, profiles, files, carol, bob):
    worker(tasks.download_due, is_downloaded)
    for profile in profiles.values():
        request = request_reclaim(RemovalCandidate.objects.filter(state="ready", profile=profile), actor=carol)
        decide.approve(request, actor=bob)
    assert worker(tasks.reclaim, is_reclaimed) == ["small", "large"]
    assert [active(path) for path in files.values()] == [set(), set()]
    assert Reclaim.objects.filter(state="done").count() == sum(SIZES.values())


@pytest.fixture
def limit(monkeypatch, files) -> SimpleNamespace:
    """The vendor's limit: each page after the first one has to be waited for once, for `seconds`."""
    made = SimpleNamespace(seconds=30.0, waits=[])
    read_on, refused = CsvConnector.members, set()

    def limited(self, cursor=""):
        for page in read_on(self, cursor):
            yield page
            if page.cursor and page.members[0].email not in refused:
                refused.add(page.members[0].email)
                raise TransientError("Used up.", retry_after=made.seconds)

    monkeypatch.setattr(CsvConnector, "members", limited)
    monkeypatch.setattr(outages, "_wait", lambda run, seconds: made.waits.append(seconds))
    return made


@pytest.fixture
def later(monkeypatch, worker) -> list[float]:
    """The seconds after which parts are enqueued. The vendor's limit has room at once then."""
    found: list[float] = []

    def note(seconds, task, *ids):
        found.append(seconds)
        DownloadRun.objects.filter(profile=ids[0], state="running").update(lease_until=timezone.now())
        tasks.enqueue_task(task, *ids)

    monkeypatch.setattr(tasks, "enqueue_later", note)
    return found


def test_nobody_waits_for_a_vendor_while_there_is_work_for_others(limit, worker, later, profiles):
    assert worker(tasks.download_due, is_downloaded) == ["small", "large"]
    assert {run.profile.name: run.read for run in DownloadRun.objects.all()} == SIZES
    # The one page of the small one that had to be waited for, and the pages of the large one until the small one ended.
    assert later
    assert all(limit.seconds - 5 < seconds <= limit.seconds + tasks.CLOCK_SLACK for seconds in later)
    assert len(later) + len(limit.waits) == sum(SIZES.values()) - len(SIZES)


def test_the_worker_waits_where_there_is_no_other_work(limit, worker, later, profiles):
    IntegrationProfile.objects.filter(pk=profiles.pop("small").pk).update(download_due_at=None)
    assert worker(tasks.download_due, is_downloaded) == ["large"]
    assert limit.waits == [limit.seconds] * (SIZES["large"] - 1)
    assert later == []


def test_a_short_wait_does_not_end_a_turn(limit, worker, later, profiles):
    limit.seconds = turns.MAX_WAIT_IN_A_CALL
    worker(tasks.download_due, is_downloaded)
    assert later == []
    assert set(limit.waits) == {limit.seconds}


def test_a_long_wait_is_left_to_the_sweep(limit, worker, later, profiles):
    """A process that ends meanwhile loses what it was to enqueue, so it keeps nothing for long."""
    limit.seconds = outages.MAX_LAST_WAIT + 10
    assert worker(tasks.download_due, is_downloaded) == []
    assert later == []
    assert {run.waited for run in DownloadRun.objects.all()} == {limit.seconds}
    assert sweep.profiles_to_download() == []
    DownloadRun.objects.update(lease_until=timezone.now())
    assert len(sweep.profiles_to_download()) == len(SIZES)


def test_a_download_waits_in_no_call_for_long(world, monkeypatch):
    """Control: without `longest_wait`, its sessions wait for a minute and more."""
    seen, make = [], credential_store.connector_for

    def noted(profile, **more):
        seen.append(more)
        return make(profile, **more)

    monkeypatch.setattr(credential_store, "connector_for", noted)
    run = world.download()
    DownloadRun.objects.filter(pk=run.pk).update(state="evaluating", follow_up="names", lease_until=timezone.now())
    follow_up.resume(run.pk)
    assert seen == [{"longest_wait": turns.MAX_WAIT_IN_A_CALL}] * 2
    connector = make(world.profile, longest_wait=0.25)
    connector.validate()
    assert {session._longest_wait for session in connector._sessions} == {0.25}


def test_a_part_is_enqueued_when_its_moment_comes(monkeypatch):
    enqueued = threading.Event()
    monkeypatch.setattr(tasks, "enqueue_task", lambda task, *ids: ids == (7,) and enqueued.set())
    began = time.monotonic()
    tasks.enqueue_later(0.2, tasks.download_due, 7)
    assert enqueued.wait(30) and time.monotonic() - began >= 0.2


def test_a_profile_that_is_served_waits_for_nobody(profiles, worker, carol, bob):
    worker(tasks.download_due, is_downloaded)
    small, large = profiles["small"], profiles["large"]
    assert not sweep.others_wait_for_a_download(large.pk)
    decide.approve(request_reclaim(RemovalCandidate.objects.filter(profile=small), actor=carol), actor=bob)
    assert sweep.others_wait_for_a_reclaim(large.pk)
    assert not sweep.others_wait_for_a_reclaim(small.pk)
    engine.claim(small)
    assert not sweep.others_wait_for_a_reclaim(large.pk)


def test_others_are_asked_once_for_each_slot(clock):
    answers = [False, True]
    turn = Turn(1000, others_wait=lambda: answers.pop(0))
    for seconds, is_over, left in (
        (500, False, 2),
        (SLOT_SECONDS - 1, False, 2),
        (1, False, 1),
        (1, False, 1),
        (SLOT_SECONDS, True, 0),
    ):
        clock.seconds += seconds
        assert (turn.is_over(), len(answers)) == (is_over, left)
    assert turn.is_over(), "also when it is asked again"


def test_a_turn_ends_with_its_time_and_when_the_worker_is_to_stop(clock, monkeypatch):
    turn, endless = Turn(5), Turn()
    clock.seconds += 4
    assert not turn.is_over()
    clock.seconds += 1
    assert turn.is_over()
    assert not endless.is_over()
    monkeypatch.setattr(stopping, "is_requested", lambda: True)
    assert endless.is_over()
