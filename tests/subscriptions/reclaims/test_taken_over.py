"""An item that another process has now: who had it before changes nothing. An abandoned claim is queued again."""

from __future__ import annotations

import uuid
from datetime import timedelta

import pytest
from django.utils import timezone

from integrations.connectors.contract import Receipt
from subscriptions import sweep
from subscriptions.approvals import decide
from subscriptions.approvals.request import request_reclaim
from subscriptions.errors import NotActionable
from subscriptions.models import HoldReason, Reclaim
from subscriptions.reclaims import engine
from subscriptions.reclaims.engine import claim
from subscriptions.reclaims.outcomes import mark_in_doubt, mark_lapsed, note_receipt, requeue
from tests.support.fixtures import actions

TAKEN_OVER = [{"token": uuid.uuid4()}, {"state": "sending"}]
ENDED = [{"token": uuid.uuid4()}, {"state": "done"}]


@pytest.fixture
def approved(world, alice, bob) -> None:
    world.first_download()
    decide.approve(request_reclaim(world.candidates(1), actor=alice), actor=bob)


@pytest.fixture
def claimed(world, approved) -> Reclaim:
    [item] = claim(world.profile)
    return item


@pytest.fixture
def sending(claimed) -> Reclaim:
    Reclaim.objects.update(state="sending")
    claimed.refresh_from_db()
    return claimed


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


@pytest.mark.parametrize("change", ENDED)
def test_only_who_sends_an_item_notes_the_receipt(sending, change):
    Reclaim.objects.update(**change)

    note_receipt(sending, Receipt(status=200, active=False, request_id="late"))

    assert (Reclaim.objects.get().http_status, Reclaim.objects.get().request_id) == (None, "")


@pytest.mark.parametrize("change", ENDED)
def test_only_who_sends_an_item_puts_it_in_doubt(sending, change):
    Reclaim.objects.update(**change)

    mark_in_doubt(sending, "The answer is lost.", status=None)

    assert Reclaim.objects.get().state == change.get("state", "sending")
    assert "reclaim.in_doubt" not in actions()


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


def test_an_abandoned_send_is_in_doubt(sending):
    sweep.repair()
    assert Reclaim.objects.get().state == "sending"

    Reclaim.objects.update(lease_until=timezone.now() - timedelta(seconds=1))
    sweep.repair()

    assert Reclaim.objects.get().state == "in_doubt"
    assert actions().count("reclaim.in_doubt") == 1
