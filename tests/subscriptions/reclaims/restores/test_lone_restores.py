"""One account restores a few people a day by itself. Whoever stole its token gets no further than that."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from django.db import connections
from django.urls import reverse

from subscriptions.approvals import decide
from subscriptions.errors import NotActionable, Refused
from subscriptions.models import Reclaim, ReclaimRequest, RequestState
from subscriptions.reclaims import restores
from tests.support.fixtures import World
from tests.support.people.api import Program, problem
from tests.support.people.restoring import REASON, reclaimed
from tests.support.web.pages import text_of

LIMIT = "restores at most 2 people in 24 hours without a second person"


@pytest.fixture
def taken(world: World, alice, bob, settings) -> list[Reclaim]:
    settings.LONE_RESTORES_PER_DAY = 2
    return reclaimed(world, alice, bob, count=5)


def alone() -> int:
    return ReclaimRequest.objects.filter(direction="reactivate", decided_by=None, state=RequestState.APPROVED).count()


def test_the_limit_is_one_for_browser_and_api_and_others_have_their_own(taken, alice, bob, carol, client, program):
    """Control: without `why_not_alone` in `restore` all five are restored."""
    sent = program(alice)
    assert sent.post(f"/history/{taken[0].pk}/restore", {"reason": REASON}).status_code == 200
    client.force_login(alice)
    page = reverse("admin:subscriptions_reclaim_restore", args=[taken[1].pk])
    client.post(page, {"reason": REASON})
    assert alone() == 2
    refused = sent.post(f"/history/{taken[2].pk}/restore", {"reason": REASON})
    assert problem(refused, 409) == "refused" and LIMIT in refused.json()["detail"]
    for pk in (taken[2].pk, taken[3].pk):
        address = reverse("admin:subscriptions_reclaim_restore", args=[pk])
        assert LIMIT in text_of(client.get(address, follow=True))
        assert LIMIT in text_of(client.post(address, {"reason": REASON}, follow=True))
    assert alone() == 2

    # The way on: a request, also for one person, and somebody else approves it.
    history = reverse("admin:subscriptions_reclaim_changelist")
    form = {"action": "request_restore", "_selected_action": [taken[2].pk], "confirmed": "1", "reason": REASON}
    shown = client.post(history, {name: form[name] for name in ("action", "_selected_action")})
    assert "Request restore of 1 seat" in text_of(shown)
    client.post(history, form)
    [asked] = ReclaimRequest.objects.filter(direction="reactivate", state=RequestState.OPEN)
    assert decide.approve(asked, actor=bob) == 1
    assert restores.restore(taken[3], actor=carol, reason=REASON).state == "queued"


def test_a_day_later_there_are_new_ones_and_none_with_0(taken, alice, settings, time_machine):
    for item in taken[:2]:
        restores.restore(item, actor=alice, reason=REASON)
    with pytest.raises(Refused, match=LIMIT):
        restores.restore(taken[2], actor=alice, reason=REASON)
    made = ReclaimRequest.objects.filter(direction="reactivate")
    for row in made:
        ReclaimRequest.objects.filter(pk=row.pk).update(requested_at=row.requested_at - timedelta(hours=25))
    restores.restore(taken[2], actor=alice, reason=REASON)
    settings.LONE_RESTORES_PER_DAY = 0
    made.update(requested_at=made[0].requested_at - timedelta(hours=50))
    with pytest.raises(Refused, match="at most 0 people"):
        restores.restore(taken[3], actor=alice, reason=REASON)


def test_parallel_restores_count_one_after_the_other(real_transactions, taken, alice):
    """Control: without the lock of the account, all of them find room on PostgreSQL."""

    def restore(item: Reclaim) -> bool:
        try:
            restores.restore(item, actor=alice, reason=REASON)
        except (Refused, NotActionable):
            return False
        finally:
            connections.close_all()
        return True

    with ThreadPoolExecutor(5) as pool:
        assert sorted(pool.map(restore, taken)) == [False, False, False, True, True]
    assert alone() == 2


def test_a_program_and_its_token_are_the_account(taken, alice, program):
    """Another token is no new allowance."""
    for item in taken[:2]:
        assert program(alice).post(f"/history/{item.pk}/restore", {"reason": REASON}).status_code == 200
    other: Program = program(alice)
    assert problem(other.post(f"/history/{taken[2].pk}/restore", {"reason": REASON}), 409) == "refused"
    assert alone() == 2
