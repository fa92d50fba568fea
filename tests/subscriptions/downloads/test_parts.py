"""A run is made in parts; the next one is enqueued at once, and no limit of a task ends a download."""

from __future__ import annotations

from itertools import chain, count, cycle
from types import SimpleNamespace

import pytest
from celery.exceptions import SoftTimeLimitExceeded
from django.utils import timezone

from integrations.connectors.contract import BadAnswer, Page, TransientError
from integrations.connectors.miro.connector import MiroConnector
from subscriptions import tasks
from subscriptions.downloads import outages, parts
from subscriptions.downloads import run as downloading
from subscriptions.downloads.parts import Part, PartOver
from subscriptions.models import DownloadRun
from tests.support.fixtures import MEMBERS


@pytest.fixture
def enqueued(monkeypatch) -> list[tuple[str, int]]:
    found: list[tuple[str, int]] = []
    monkeypatch.setattr(tasks, "enqueue_task", lambda task, *ids: found.append((task.name.rpartition(".")[2], *ids)))
    return found


def test_a_part_ends_well_before_the_limits_of_a_task(settings):
    one_call, read_ahead = 45, 45
    assert parts.part_seconds() + one_call + read_ahead < settings.CELERY_TASK_SOFT_TIME_LIMIT
    assert parts.part_seconds() + one_call + outages.MAX_LAST_WAIT < settings.CELERY_TASK_SOFT_TIME_LIMIT
    settings.CELERY_TASK_SOFT_TIME_LIMIT = 10
    assert parts.part_seconds() == 5
    Part().check()
    Part(100).check()
    with pytest.raises(PartOver):
        Part(0).check()


def test_the_next_part_is_enqueued_at_once(world, monkeypatch, enqueued):
    monkeypatch.setattr(downloading, "MAX_PAGES_AT_ONCE", 1)
    monkeypatch.setattr(tasks, "part_seconds", lambda: 0.0)
    tasks.download_due(world.profile.pk)
    found = DownloadRun.objects.get()
    assert (found.state, found.read, enqueued) == ("running", 100, [("download_due", world.profile.pk)])

    monkeypatch.setattr(Part, "check", lambda self: None)
    tasks.download_due(world.profile.pk)

    found.refresh_from_db()
    assert (found.state, found.parts, len(enqueued)) == ("complete", 2, 1)


def test_a_part_waits_for_the_rate_limit_of_each_page(world, monkeypatch, enqueued):
    """The vendor accepts calls again after a minute. A part waits for that for each page, also at its end."""
    monkeypatch.setattr(downloading, "MAX_PAGES_AT_ONCE", 1)
    monkeypatch.setattr(outages, "MAX_TOTAL_WAIT", 0.3)
    monkeypatch.setattr(tasks, "part_seconds", lambda: 0.1)
    members, asked = MiroConnector.members, []

    def limited(self, cursor=""):
        for page in members(self, cursor):
            asked.append(cursor)
            if len(asked) % 2:
                raise TransientError("Used up.", retry_after=0.2)
            yield page

    monkeypatch.setattr(MiroConnector, "members", limited)
    for _ in range(12):
        tasks.download_due(world.profile.pk)
        found = DownloadRun.objects.get()
        if found.state != "running":
            break
        assert enqueued.pop() == ("download_due", world.profile.pk)
    # Two pages, each after a wait that is longer than a part; together they are longer than one page may wait.
    assert (found.read, found.problem, len(asked)) == (MEMBERS, "", 4)


def test_what_is_left_of_the_follow_up_is_enqueued_at_once(world, monkeypatch, enqueued):
    run = world.download()
    DownloadRun.objects.update(state="evaluating", follow_up="verdicts", lease_until=timezone.now())
    monkeypatch.setattr(tasks, "part_seconds", lambda: 0.0)
    tasks.follow_up(run.pk)
    assert enqueued == [("follow_up", run.pk)]
    monkeypatch.setattr(tasks, "part_seconds", lambda: 100.0)
    tasks.follow_up(run.pk)
    run.refresh_from_db()
    assert (run.state, len(enqueued)) == ("complete", 1)


def test_a_task_that_reaches_its_limit_nevertheless_logs_a_sentence(world, monkeypatch, enqueued, caplog):
    def too_long(*args, **options):
        raise SoftTimeLimitExceeded

    monkeypatch.setattr(downloading, "check_plausible", too_long)
    tasks.download_due(world.profile.pk)
    assert [record.getMessage() for record in caplog.records if record.name == tasks.__name__] == [
        "A part of a download took longer than a task may. The next part goes on at the saved page."
    ]
    assert not any(record.exc_info for record in caplog.records)
    # Its lease was given up, and the attempt counts.
    found = DownloadRun.objects.get()
    assert (found.state, found.all_pages_in, enqueued) == ("running", True, [("download_due", world.profile.pk)])


@pytest.mark.parametrize(("before", "length"), [(0, 1), (3, 2), (100, 64), (70, 129), (5, 1000)])
def test_a_loop_of_pages_is_found_over_many_parts(before, length):
    """Each part sees only its own cursors. The run keeps one."""
    cursors = chain((f"b{n}" for n in range(before)), cycle([f"c{n}" for n in range(length)]))
    run = SimpleNamespace(cursor="", former_cursor="", pages=0, profile=SimpleNamespace(vendor="the vendor"))
    with pytest.raises(BadAnswer, match="The vendor's pages of members repeat in a loop"):
        for cursor in cursors:
            downloading._turn(run, Page([], cursor))
    assert run.pages <= 3 * (before + length) + 2


def test_pages_that_never_end_are_refused():
    run = SimpleNamespace(cursor="", former_cursor="", pages=0, profile=SimpleNamespace(vendor="the vendor"))
    with pytest.raises(BadAnswer, match="do not end after 20,000"):
        for number in count():
            downloading._turn(run, Page([], str(number)))
