"""An item on which each worker fails or dies holds up nobody else, and is left to a person in the end."""

from __future__ import annotations

import contextlib
from datetime import timedelta

import pytest

from integrations.installation.findings import findings
from licensehub.database.clock import database_now
from subscriptions import sweep, tasks
from subscriptions.approvals import decide
from subscriptions.approvals.request import request_reclaim
from subscriptions.candidates.actions import resume
from subscriptions.models import HoldReason, Reclaim
from subscriptions.reclaims import engine
from subscriptions.reclaims.outcomes import requeue
from tests.support.fixtures import actions


class Broken(Exception):
    """An error that no code expects. It leaves the rows as a SIGKILL does."""


@pytest.fixture
def approved(world, alice, bob):
    world.first_download()
    decide.approve(request_reclaim(world.candidates(4), actor=alice), actor=bob)
    return world


@pytest.fixture
def first(approved, monkeypatch) -> Reclaim:
    """Each recheck of this person fails. It is the oldest item."""
    item = Reclaim.objects.select_related("subscription").order_by("queued_at", "pk")[0]
    recheck = engine.recheck

    def fail(profile, items, connector):
        if item in items:
            raise Broken
        return recheck(profile, items, connector)

    monkeypatch.setattr(engine, "recheck", fail)
    return item


def a_minute_later(world) -> None:
    """The lease of the worker that failed has ended."""
    Reclaim.objects.filter(state="claimed").update(lease_until=database_now() - timedelta(seconds=1))
    sweep.repair()
    with contextlib.suppress(Broken):
        tasks.reclaim(world.profile.pk)


def test_the_others_are_sent_and_a_person_decides_about_the_one_that_fails(approved, first, alice, monkeypatch):
    for _ in range(3):
        a_minute_later(approved)
    assert Reclaim.objects.filter(state="done").count() == 3

    for _ in range(sweep.MAX_TRIES):
        a_minute_later(approved)
    first.refresh_from_db()
    assert (first.state, first.tries) == ("skipped", sweep.MAX_TRIES)
    assert first.outcome.startswith(f"Not sent: {sweep.MAX_TRIES} times, a worker failed")
    assert first.subscription.external_id not in approved.deactivated_by_us() and actions()[-1] != "reclaim.sending"
    candidate = first.removal.candidate
    assert (candidate.state, candidate.attention) == ("attention_required", first.outcome)
    resume(candidate, actor=alice)
    monkeypatch.undo()
    a_minute_later(approved)
    assert len(approved.deactivated_by_us()) == 3, "a new approval is needed"


def test_an_item_that_is_put_back_in_order_starts_counting_anew(approved, first):
    Reclaim.objects.update(tries=sweep.MAX_TRIES - 1)
    [item] = engine.claim(approved.profile)
    assert requeue(item, HoldReason.LATER) == 1
    item.refresh_from_db()
    assert item.tries == 0 and sweep.end_given_up() == 0


def test_an_item_that_cannot_be_read_back_stops_no_other_and_no_send(real_steps, approved, monkeypatch):
    first, second, *_ = Reclaim.objects.order_by("-queued_at", "-pk")
    Reclaim.objects.filter(pk__in=[first.pk, second.pk]).update(state="in_doubt", reads=1)
    read_back = sweep.read_back

    def fail(item, connector):
        if item.pk == first.pk:
            raise Broken
        return read_back(item, connector)

    monkeypatch.setattr(sweep, "read_back", fail)
    tasks.reclaim(approved.profile.pk)
    first.refresh_from_db()
    second.refresh_from_db()
    assert (first.read_back, second.read_back) == ("", "active")
    assert Reclaim.objects.filter(state="done").count() == 2
    assert [finding.key for finding in findings()] == [f"step:read_back_doubts:{approved.profile.pk}"]

    monkeypatch.undo()
    tasks.reclaim(approved.profile.pk)
    first.refresh_from_db()
    assert first.read_back == "active" and not findings()
