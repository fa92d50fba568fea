"""May this reclaim be restored? The two forms of the expression give the same answer in each state."""

from __future__ import annotations

from itertools import product

from subscriptions.models import (
    Direction,
    Reclaim,
    ReclaimRequest,
    ReclaimState,
    RequestedRemoval,
    RequestState,
    Subscription,
)
from subscriptions.reclaims.restores import why_not

UNDER_WAY = {ReclaimState.QUEUED, ReclaimState.CLAIMED, ReclaimState.SENDING}


def later_item(item: Reclaim) -> Reclaim:
    """A later reclaim or restore of the same person, in a request of its own."""
    request = ReclaimRequest.objects.get(pk=item.removal.request_id)
    removal = RequestedRemoval.objects.get(pk=item.removal_id)
    request.pk = removal.pk = None
    request.save()
    removal.request = request
    removal.save()
    later = Reclaim.objects.get(pk=item.pk)
    later.pk, later.removal = None, removal
    later.save()
    return later


def answers(*, few: bool) -> dict[int, str]:
    rows = Reclaim.objects.annotate(why=why_not(few=few)).order_by("pk")
    return dict(rows.values_list("pk", "why"))


def begins(items: list[Reclaim]) -> list[str]:
    """The begin of each answer."""
    found = answers(few=True)
    return [" ".join(found[item.pk].split()[:4]) for item in items]


def test_the_form_for_a_few_reclaims_and_the_form_for_many_agree_in_each_state(reclaimed_person):
    """Two items of one person, in each combination of states, directions and of what the second one takes back."""
    first, second = items = [reclaimed_person, later_item(reclaimed_person)]
    states = [pair for pair in product(ReclaimState, repeat=2) if not set(pair) <= UNDER_WAY]
    seen = set()
    for (state, later), direction, restores, active in product(states, Direction, (None, first), (False, True)):
        Reclaim.objects.filter(pk=first.pk).update(state=state)
        Reclaim.objects.filter(pk=second.pk).update(state=later, direction=direction)
        RequestedRemoval.objects.filter(pk=second.removal_id).update(restores=restores)
        Subscription.objects.filter(pk=first.subscription_id).update(active=active)

        found = answers(few=True)

        assert answers(few=False) == found, (state, later, direction, restores, active)
        seen |= {sentence.split(".")[0] for sentence in found.values()}
    assert len(seen) == 6, "each answer but that about an open request"

    # What the answers are, and not only that they are the same.
    Subscription.objects.filter(pk=first.subscription_id).update(active=False)
    Reclaim.objects.filter(pk=first.pk).update(state=ReclaimState.DONE)
    RequestedRemoval.objects.filter(pk=second.removal_id).update(restores=None)
    rows = Reclaim.objects.filter(pk=second.pk)
    rows.update(state=ReclaimState.DONE, direction=Direction.DEACTIVATE)
    assert begins(items) == ["This seat was reclaimed", ""]
    rows.update(state=ReclaimState.FAILED)
    assert begins(items) == ["", "Only a verified reclaim"]
    rows.update(state=ReclaimState.QUEUED)
    assert begins(items) == ["A reclaim or restore", "Only a verified reclaim"]
    rows.update(state=ReclaimState.DONE, direction=Direction.REACTIVATE)
    RequestedRemoval.objects.filter(pk=second.removal_id).update(restores=first)
    assert begins(items) == ["This reclaim is restored", "Only a verified reclaim"]
    rows.update(state=ReclaimState.SKIPPED)
    ReclaimRequest.objects.filter(pk=second.removal.request_id).update(state=RequestState.OPEN)
    assert begins(items) == ["A request to restore", "Only a verified reclaim"]
    assert answers(few=False) == answers(few=True)
