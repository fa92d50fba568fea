"""A dry run decides as a send would, and touches nobody: against the sandbox, which records what was done to whom."""

from __future__ import annotations

from collections import Counter
from datetime import timedelta

import pytest
from django.db import transaction
from django.utils import timezone

from integrations.transaction_guard import CallInTransaction
from licensehub.audit.models import AuditEvent
from subscriptions.approvals import closing, decide
from subscriptions.approvals.dry_run import DryRun, Ending, summary, try_candidates, try_queue, try_request
from subscriptions.approvals.request import raise_cap, request_reclaim
from subscriptions.errors import NotActionable
from subscriptions.models import (
    Reclaim,
    ReclaimRequest,
    ReclaimRule,
    RemovalCandidate,
    RequestedRemoval,
    Subscription,
)
from subscriptions.profiles import lifecycle
from subscriptions.reclaims.engine import reclaim_due


@pytest.fixture
def downloaded(world):
    world.first_download()
    return world


def ask(world, alice, count: int) -> ReclaimRequest:
    return request_reclaim(world.candidates(count), actor=alice)


def endings(tried: DryRun) -> dict[str, int]:
    return dict(Counter(str(row.ending) for row in tried.rows))


def external_ids(request: ReclaimRequest) -> list[str]:
    return [person.evidence["external_id"] for person in request.removals.order_by("pk")]


def records() -> list[object]:
    """Whatever a decision would change."""
    return [
        list(model.objects.order_by("pk").values())
        for model in (Reclaim, RemovalCandidate, RequestedRemoval, ReclaimRequest)
    ] + [AuditEvent.objects.count()]


def patches(world) -> int:
    return sum(request["method"] == "PATCH" for request in world.miro.requests())


def test_it_foretells_what_the_send_then_does(downloaded, alice, bob):
    """One came back, one left, one said Keep late, one is beyond the cap: each as the send treats them."""
    request = ask(downloaded, alice, 8)
    back, left, *_ = external_ids(request)
    decide.approve(request, actor=bob)
    downloaded.miro.change(back, last_activity_at="now")
    downloaded.miro.change(left, removed=True)
    later = timezone.now() + timedelta(seconds=1)
    third = request.removals.order_by("pk")[2]
    RequestedRemoval.objects.filter(pk=third.pk).update(answer="keep", answered_at=later)
    ReclaimRule.objects.update(batch_cap_people=4)

    tried = try_queue(downloaded.profile)
    foretold = {row.item.subscription.external_id: row for row in tried.rows}
    assert patches(downloaded) == 0
    reclaim_due(downloaded.profile)

    for item in Reclaim.objects.select_related("subscription"):
        row = foretold[item.subscription.external_id]
        assert {"done": "send", "skipped": "not_sent", "queued": "hold"}[item.state] == row.ending
        if row.ending == Ending.NOT_SENT:
            assert row.sentence == item.outcome
        if row.ending == Ending.HOLD:
            assert row.kind == item.get_hold_reason_display()
    assert endings(tried) == {"not_sent": 3, "send": 4, "hold": 1}


@pytest.mark.parametrize("way", ["candidates", "open", "approved"])
def test_nothing_is_changed_but_the_facts(downloaded, alice, bob, way):
    chosen = downloaded.candidates(3)
    request = request_reclaim(chosen, actor=alice) if way != "candidates" else None
    if way == "approved":
        decide.approve(request, actor=bob)
    back = chosen[0].evidence["external_id"] if request is None else external_ids(request)[0]
    downloaded.miro.change(back, last_activity_at="now")
    before = records()

    tried = try_request(ReclaimRequest.objects.get()) if request else try_candidates(chosen)

    assert endings(tried) == {"not_sent": 1, "send": 2}
    assert summary(tried) == "Would deactivate 2. Not sent: 1 (active again)."
    assert records() == before
    assert patches(downloaded) == 0 and downloaded.deactivated_by_us() == []
    assert Subscription.objects.get(external_id=back).verdict == "active"


@pytest.mark.parametrize("asked", [False, True])
def test_beyond_the_batch_cap(downloaded, alice, asked):
    """Person 4 of a cap of 3 meets the refusal that the send would meet."""
    ReclaimRule.objects.update(batch_cap_people=3)
    chosen = downloaded.candidates(4)
    tried = try_request(request_reclaim(chosen, actor=alice)) if asked else try_candidates(chosen)

    assert [row.ending for row in tried.rows] == ["send", "send", "send", "hold"]
    assert tried.rows[3].kind == "The request is over the cap of the rule"


def test_beyond_the_batch_cap_the_longest_inactive_people_come_first(downloaded):
    """The page of the request offers the same: one request with the first 3 people."""
    ReclaimRule.objects.update(batch_cap_people=3)
    chosen = downloaded.candidates(6)
    # The order of the rows is not that of the inactivity.
    for days, row in enumerate(chosen.order_by("pk")):
        RemovalCandidate.objects.filter(pk=row.pk).update(idle_since=timezone.now() - timedelta(days=100 + days))

    tried = try_candidates(chosen)

    sent = [row.item.removal.candidate_id for row in tried.rows if row.ending == Ending.SEND]
    assert sent == [row.pk for row in chosen.order_by("idle_since")][:3]


def test_a_raised_cap_counts(downloaded, alice, erin):
    ReclaimRule.objects.update(batch_cap_people=3)
    request = ask(downloaded, alice, 4)
    raise_cap(request, actor=erin, reason="The contract ends")

    assert endings(try_request(ReclaimRequest.objects.get())) == {"send": 4}


def test_the_rolling_cap_counts_what_was_sent_and_what_would_be(downloaded, alice, bob):
    decide.approve(ask(downloaded, alice, 2), actor=bob)
    reclaim_due(downloaded.profile)
    seats = Subscription.objects.held().filter(profile=downloaded.profile).count() + 2
    ReclaimRule.objects.update(rolling_cap_percent=100 * 5 // seats)
    left = try_candidates(downloaded.candidates(10))

    assert left.count(Ending.HOLD) > 0
    assert {row.kind for row in left.rows if row.ending == Ending.HOLD} == {"The cap for 24 hours is reached"}
    held = [row.ending == Ending.HOLD for row in left.rows]
    assert held == sorted(held), "who is beyond the cap comes last"


def test_without_the_running_count_nobody_meets_the_cap(downloaded, monkeypatch):
    """The control: a dry run that does not count its own people promises too much."""
    ReclaimRule.objects.update(batch_cap_people=3)
    from subscriptions.approvals import dry_run
    from subscriptions.reclaims.holds import item_hold

    monkeypatch.setattr(dry_run, "item_hold", lambda *args, ahead, **more: item_hold(*args, **more))

    assert endings(try_candidates(downloaded.candidates(4))) == {"send": 4}


def test_stopped_sending_holds_everybody_who_would_go(downloaded, alice, bob):
    request = ask(downloaded, alice, 2)
    downloaded.miro.change(external_ids(request)[0], last_activity_at="now")
    lifecycle.stop_sending(downloaded.profile, actor=bob)

    tried = try_request(request)

    assert endings(tried) == {"not_sent": 1, "hold": 1}
    assert "Would wait: sending is stopped. Still a candidate" in tried.rows[1].sentence


def test_a_paused_profile_is_not_asked_for_anything(downloaded, alice, bob):
    request = ask(downloaded, alice, 2)
    lifecycle.pause(downloaded.profile, actor=bob)
    asked = len(downloaded.miro.requests())

    assert {row.kind for row in try_request(request).rows} == {"The profile is paused"}
    assert len(downloaded.miro.requests()) == asked


def test_connections_that_do_not_fit_hold_everybody(downloaded, alice):
    request = ask(downloaded, alice, 2)
    downloaded.miro.set_toggles(foreign_scim=True)

    assert {row.kind for row in try_request(request).rows} == {"A connection is in error"}


def test_who_answered_keep_before_the_approval_would_be_sent_if_approved(downloaded, alice):
    """The approver sees the wish, and decides, as with `reclaim`."""
    request = ask(downloaded, alice, 1)
    request.removals.update(answer="keep", answered_at=timezone.now())

    assert endings(try_request(request)) == {"send": 1}


def test_a_forged_approval_is_told(downloaded, alice, bob):
    request = ask(downloaded, alice, 2)
    decide.approve(request, actor=bob)
    ReclaimRequest.objects.update(cap=999)

    tried = try_request(ReclaimRequest.objects.get())

    assert {row.kind for row in tried.rows} == {"Needs a person"}
    assert "does not match its signature" in tried.rows[0].sentence


def test_what_is_decided_otherwise_is_not_tried(downloaded, alice):
    request = ask(downloaded, alice, 1)
    closing.cancel(request, actor=alice)
    request.refresh_from_db()

    with pytest.raises(NotActionable, match="was withdrawn, so there is nothing to try"):
        try_request(request)


def test_the_rest_of_a_long_list_is_counted(downloaded):
    tried = try_candidates(downloaded.candidates(5), limit=2)

    assert (len(tried.rows), tried.left_out) == (2, 3)


def test_never_in_a_transaction(downloaded):
    with transaction.atomic(), pytest.raises(CallInTransaction):
        try_candidates(downloaded.candidates(1))
