"""People who were restored are left alone for 30 days, and two who restore at once restore once."""

from __future__ import annotations

import threading
from datetime import timedelta

import pytest
from django.db import connection
from django.utils import timezone

from subscriptions.approvals import decide
from subscriptions.approvals.request import request_reclaim
from subscriptions.eligibility.evaluate import evaluate_profile
from subscriptions.errors import NotActionable
from subscriptions.models import Reclaim, ReclaimRequest, RemovalCandidate, RequestedRemoval, Subscription
from subscriptions.reclaims import outcomes, restores
from subscriptions.reclaims.engine import reclaim_due
from subscriptions.reclaims.signed.state import SignedState
from tests.support.fixtures import World, actions
from tests.support.people.restoring import REASON, activated_by_us, id_of, reclaimed

# --- Left alone for 30 days -------------------------------------------------------------------------------------------


@pytest.fixture
def unprotected(monkeypatch):
    """The defenses switched off."""
    monkeypatch.setattr(outcomes, "RESTORED_COOLDOWN", timedelta(0))
    # The tests set finished items back, and the audit knows that.
    monkeypatch.setattr(SignedState, "refusal", lambda *_: "")


def restored(world: World, reclaimed_person: Reclaim, alice) -> Reclaim:
    restores.restore(reclaimed_person, actor=alice, reason=REASON)
    assert reclaim_due(world.profile).restored == 1
    return reclaimed_person


def open_candidate(reclaimed_person: Reclaim) -> bool:
    return RemovalCandidate.objects.open().filter(subscription=reclaimed_person.subscription).exists()


def test_downloads_propose_the_restored_person_no_more(world, reclaimed_person, alice):
    restored(world, reclaimed_person, alice)

    world.download()
    assert not open_candidate(reclaimed_person)
    Subscription.objects.filter(pk=reclaimed_person.subscription_id).update(
        cooldown_until=timezone.now() + timedelta(minutes=1)
    )
    world.download()
    assert not open_candidate(reclaimed_person), "up to the last minute"

    Subscription.objects.filter(pk=reclaimed_person.subscription_id).update(cooldown_until=timezone.now())
    world.download()
    assert open_candidate(reclaimed_person), "after 30 days like anybody else"


def test_the_control_without_the_protection_is_proposed_again(world, reclaimed_person, alice, unprotected):
    restored(world, reclaimed_person, alice)

    world.download()

    assert open_candidate(reclaimed_person)


def test_it_lasts_thirty_days(world, reclaimed_person, alice):
    restored(world, reclaimed_person, alice)

    row = Subscription.objects.get(pk=reclaimed_person.subscription_id)
    assert timedelta(days=29, hours=23) < row.cooldown_until - timezone.now() <= timedelta(days=30)


def again_in_the_queue(world: World, reclaimed_person: Reclaim, alice, bob) -> Reclaim:
    """Another approval of the same person, from before the restore.

    The database lets two of one person never wait at once, and a deactivated person is no candidate. So this one was
    approved while the person counted as active, stood aside during the restore, and is due now.
    """
    row = Subscription.objects.filter(pk=reclaimed_person.subscription_id)
    row.update(active=True)
    evaluate_profile(world.profile)
    candidate = RemovalCandidate.objects.create(
        profile=world.profile,
        subscription=row.get(),
        run=reclaimed_person.removal.candidate.run,
        evidence=reclaimed_person.removal.evidence,
    )
    one = RemovalCandidate.objects.filter(pk=candidate.pk)
    decide.approve(request_reclaim(one, actor=alice), actor=bob)
    row.update(active=False)
    return Reclaim.objects.get(removal__candidate=candidate)


@pytest.mark.parametrize("which", ["the approval that took the seat", "another one"])
@pytest.mark.parametrize("protection", ["on", "off"])
def test_no_older_approval_takes_the_seat_again(world, reclaimed_person, alice, bob, which, protection, request):
    """With the protection off (the control), the restored person is locked out again."""
    if protection == "off":
        request.getfixturevalue("unprotected")
    older = reclaimed_person
    if which == "another one":
        older = again_in_the_queue(world, reclaimed_person, alice, bob)
        Reclaim.objects.filter(pk=older.pk).update(state="skipped")
    restored(world, reclaimed_person, alice)
    Reclaim.objects.filter(pk=older.pk).update(state="queued", finished_at=None, read_back="", sending_at=None)
    RemovalCandidate.objects.filter(pk=older.removal.candidate_id).update(state="awaiting_revocation")

    tally = reclaim_due(world.profile)

    locked_out_again = world.deactivated_by_us() == [id_of(reclaimed_person)] * 2
    if protection == "off":
        assert locked_out_again and tally.reclaimed == 1
    else:
        assert not locked_out_again and tally.skipped == 1
        assert "In cool-down until" in Reclaim.objects.get(pk=older.pk).outcome


# --- At once ----------------------------------------------------------------------------------------------------------


def all_at_once(acts) -> list[str]:
    """Run them in threads of their own; "done", or why not."""
    outcomes: list[str] = []
    barrier = threading.Barrier(len(acts))

    def run(act) -> None:
        barrier.wait()
        try:
            act()
            outcomes.append("done")
        except NotActionable as error:
            outcomes.append(str(error))
        finally:
            connection.close()

    threads = [threading.Thread(target=run, args=(act,)) for act in acts]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(outcomes) == len(acts), "each of them ended with a sentence"
    return outcomes


def test_two_restores_of_one_seat_at_once(real_transactions, world, alice, bob):
    [reclaimed_person] = reclaimed(world, alice, bob, 1)

    outcomes = all_at_once([lambda: restores.restore(reclaimed_person, actor=alice, reason=REASON)] * 6)

    assert sorted(outcomes)[-1] == "done" and outcomes.count("done") == 1
    assert {outcome for outcome in outcomes if outcome != "done"} == {
        "A reclaim or restore of this person is under way already."
    }
    assert Reclaim.objects.filter(direction="reactivate").count() == 1
    assert reclaim_due(world.profile).restored == 1
    assert activated_by_us(world) == [id_of(reclaimed_person)]
    assert actions().count("restore.requested") == 1


def test_the_database_settles_it_where_nobody_looked(real_transactions, world, alice, bob, monkeypatch):
    """Without the look, the index still lets one through, and the others get a sentence."""
    [reclaimed_person] = reclaimed(world, alice, bob, 1)
    monkeypatch.setattr(restores, "why_not_restore", lambda reclaim: "")

    outcomes = all_at_once([lambda: restores.restore(reclaimed_person, actor=alice, reason=REASON)] * 4)

    assert outcomes.count("done") == 1
    assert all("Nothing was changed" in outcome for outcome in outcomes if outcome != "done")
    assert ReclaimRequest.objects.filter(direction="reactivate").count() == 1, "taken back as a whole"


def test_two_requests_for_the_same_people_at_once(real_transactions, world, alice, bob):
    reclaimed(world, alice, bob, 3)

    outcomes = all_at_once([lambda: restores.request_restore(Reclaim.objects.all(), actor=alice, reason=REASON)] * 4)

    assert outcomes.count("done") == 1
    assert RequestedRemoval.objects.filter(request__direction="reactivate").count() == 3


def test_two_workers_on_one_restore(real_transactions, world, alice, bob):
    [reclaimed_person] = reclaimed(world, alice, bob, 1)
    restores.restore(reclaimed_person, actor=alice, reason=REASON)

    all_at_once([lambda: reclaim_due(world.profile)] * 3)

    assert activated_by_us(world) == [id_of(reclaimed_person)]
    assert actions().count("restore.sending") == actions().count("restore.done") == 1
