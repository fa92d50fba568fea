"""Restores that are never sent: forged, lapsed, or of an archived profile."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.utils import timezone

from subscriptions import sweep
from subscriptions.models import Reclaim, ReclaimRequest, RequestedRemoval
from subscriptions.profiles import archive
from subscriptions.reclaims import restores
from subscriptions.reclaims.engine import reclaim_due
from tests.support.fixtures import actions
from tests.support.people.restoring import REASON, activated_by_us, reclaimed

FORGED = {
    "evidence": lambda item, other: RequestedRemoval.objects.filter(pk=item.removal_id).update(
        evidence={**item.removal.evidence, "email": "x@evil.example"}
    ),
    "the reclaim that it takes back": lambda item, other: RequestedRemoval.objects.filter(pk=item.removal_id).update(
        restores=other
    ),
    "how long it is good": lambda item, other: ReclaimRequest.objects.filter(pk=item.removal.request_id).update(
        valid_until=timezone.now() + timedelta(days=99)
    ),
    "signature": lambda item, other: Reclaim.objects.filter(pk=item.pk).update(signature="0" * 64),
    "direction": lambda item, other: Reclaim.objects.filter(pk=item.pk).update(direction="deactivate"),
    "person": lambda item, other: Reclaim.objects.filter(pk=item.pk).update(subscription=other.subscription),
}


@pytest.mark.parametrize("what", FORGED)
def test_a_forged_restore_is_never_sent(world, alice, bob, what):
    first, second = reclaimed(world, alice, bob, 2)
    queued = restores.restore(first, actor=alice, reason=REASON)
    FORGED[what](queued, second)

    assert reclaim_due(world.profile).tampered == 1

    queued.refresh_from_db()
    assert queued.state == "tampered" and "signature" in queued.outcome
    assert activated_by_us(world) == []


def test_a_lapsed_restore_is_not_sent(world, reclaimed_person, alice, settings):
    settings.APPROVAL_VALIDITY = timedelta(0)
    queued = restores.restore(reclaimed_person, actor=alice, reason=REASON)

    sweep.repair()

    queued.refresh_from_db()
    assert (queued.state, activated_by_us(world)) == ("skipped", [])
    assert actions()[-1] == "restore.skipped"


def test_an_archived_profile_ends_what_waits(world, reclaimed_person, alice, bob):
    restores.restore(reclaimed_person, actor=alice, reason=REASON)

    archive.archive(world.profile, typed_name=world.profile.name, actor=bob)

    assert "restore.skipped" in actions() and "reclaim.skipped" not in actions()
