"""An item that another process has now: who had it before changes nothing. An abandoned claim is queued again."""

from __future__ import annotations

import uuid
from datetime import timedelta

import pytest
from django.utils import timezone

from subscriptions import sweep
from subscriptions.approvals import decide
from subscriptions.approvals.request import request_reclaim
from subscriptions.errors import NotActionable
from subscriptions.models import HoldReason, Reclaim
from subscriptions.reclaims import engine
from subscriptions.reclaims.engine import claim
from subscriptions.reclaims.outcomes import mark_lapsed, requeue

TAKEN_OVER = [{"token": uuid.uuid4()}, {"state": "sending"}]


@pytest.fixture
def approved(world, alice, bob) -> None:
    world.download()
    decide.approve(request_reclaim(world.candidates(1), actor=alice), actor=bob)


@pytest.fixture
def claimed(world, approved) -> Reclaim:
    [item] = claim(world.profile)
    return item


@pytest.mark.parametrize("change", TAKEN_OVER)
def test_only_who_has_an_item_ends_it(claimed, change):
    Reclaim.objects.update(**change)

    with pytest.raises(NotActionable, match="finished by another process"):
        mark_lapsed(claimed)

    assert Reclaim.objects.get().finished_at is None


@pytest.mark.parametrize("change", TAKEN_OVER)
def test_only_who_has_an_item_requeues_it(claimed, change):
    Reclaim.objects.update(**change)

    assert requeue(claimed, HoldReason.LATER) == 0

    assert Reclaim.objects.get().state != "queued"


def test_what_another_worker_claims_meanwhile_is_claimed_once(world, approved, monkeypatch):
    """Both workers have found the same queued items; then one of them claims first."""
    first: list[Reclaim] = []
    uuid4 = uuid.uuid4

    def another_claims_before() -> uuid.UUID:
        monkeypatch.setattr(engine.uuid, "uuid4", uuid4)
        first.extend(claim(world.profile))
        return uuid4()

    monkeypatch.setattr(engine.uuid, "uuid4", another_claims_before)
    assert claim(world.profile) == []

    assert [item.token for item in first] == [Reclaim.objects.get().token]


def test_an_abandoned_claim_is_queued_again(claimed):
    sweep.repair()
    assert Reclaim.objects.get().state == "claimed"

    Reclaim.objects.update(lease_until=timezone.now() - timedelta(seconds=1))
    sweep.repair()

    item = Reclaim.objects.get()
    assert (item.state, item.token, item.lease_until) == ("queued", None, None)
