"""A task that sends ends before its limit. The next task continues at once."""

from __future__ import annotations

from itertools import count
from types import SimpleNamespace

import pytest

from subscriptions import sweep, tasks, turns
from subscriptions.approvals import decide
from subscriptions.approvals.request import request_reclaim
from subscriptions.models import Reclaim
from subscriptions.reclaims.engine import reclaim_due
from subscriptions.turns import Turn


@pytest.fixture
def approved(world, alice, bob):
    world.first_download()
    decide.approve(request_reclaim(world.candidates(4), actor=alice), actor=bob)
    return world


def states() -> list[tuple]:
    return sorted(Reclaim.objects.values_list("state", "token"), key=str)


def test_claimed_items_that_were_not_sent_are_due_at_once(approved, monkeypatch):
    """Each reading of the clock is ten seconds later."""
    seconds = count(step=10)
    monkeypatch.setattr(turns, "time", SimpleNamespace(monotonic=lambda: next(seconds)))
    assert reclaim_due(approved.profile, turn=Turn(35)).reclaimed == 2
    assert [state for state, _ in states()] == ["done", "done", "queued", "queued"]
    assert [token for state, token in states() if state == "queued"] == [None, None]
    assert sweep.profiles_to_reclaim() == [approved.profile.pk]
    monkeypatch.undo()
    assert reclaim_due(approved.profile).reclaimed == 2
    assert len(approved.deactivated_by_us()) == 4


def test_a_task_for_the_remaining_items_is_enqueued_at_once(approved, monkeypatch):
    enqueued: list[tuple] = []
    monkeypatch.setattr(tasks, "enqueue_task", lambda task, *ids: enqueued.append((task.name, *ids)))
    monkeypatch.setattr(tasks, "TASK_SECONDS", 0.0)
    tasks.reclaim(approved.profile.pk)
    assert enqueued == [("subscriptions.tasks.reclaim", approved.profile.pk)]
    monkeypatch.setattr(tasks, "TASK_SECONDS", 60.0)
    tasks.reclaim(approved.profile.pk)
    assert Reclaim.objects.filter(state="done").count() == 4
    monkeypatch.setattr(tasks, "TASK_SECONDS", 0.0)
    tasks.reclaim(approved.profile.pk)
    assert len(enqueued) == 1


def test_items_in_doubt_leave_time_for_due_items(approved):
    Reclaim.objects.update(state="in_doubt", not_before=None)
    before = len(approved.miro.requests())
    assert sweep.read_back_doubts(approved.profile, seconds=0) == 0
    assert len(approved.miro.requests()) == before


def test_a_sweep_ends_some_lapsed_approvals_and_the_next_one_the_others(approved, monkeypatch):
    monkeypatch.setattr(sweep, "LAPSED_AT_ONCE", 3)
    for item in Reclaim.objects.select_related("removal__request"):
        item.removal.request.__class__.objects.update(valid_until=item.queued_at)
    assert (sweep.lapse_approvals(), sweep.lapse_approvals(), sweep.lapse_approvals()) == (3, 1, 0)
