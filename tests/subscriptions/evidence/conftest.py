"""Keys and finished requests for the tests of evidence packs."""

from __future__ import annotations

import pytest
from django.db import transaction
from django.utils import timezone

from licensehub.audit.actions import Action
from licensehub.audit.anchors.keys import Keys, new_keys
from licensehub.audit.log import record
from subscriptions.models import Notice, Reclaim, RequestedRemoval
from subscriptions.reclaims import restores
from subscriptions.reclaims.engine import reclaim_due
from tests.support.fixtures import World
from tests.support.people.restoring import REASON, reclaimed


@pytest.fixture(autouse=True)
def keys(settings) -> Keys:
    made = new_keys()
    settings.ANCHOR_KEYS = ",".join(made.words())
    return made


@pytest.fixture
def done(world: World, alice, bob, request) -> list[Reclaim]:
    """Three people are reclaimed; one of them was asked, and got the seat back."""

    def make() -> None:
        items = reclaimed(world, alice, bob, count=3)
        asked = RequestedRemoval.objects.filter(pk=items[0].removal_id)
        asked.update(answer="release", answered_at=timezone.now())
        Notice.objects.create(
            removal=asked.get(), kind="ask", state="sent", sent_at=timezone.now(), email="=cmd@northwind.example"
        )
        restores.restore(items[0], actor=alice, reason=REASON)
        reclaim_due(world.profile)

    world.cache.scene(request, make, world.sandbox)
    return list(Reclaim.objects.filter(direction="deactivate").order_by("pk"))


@pytest.fixture
def profile_event(world):
    def write(target=None) -> None:
        with transaction.atomic():
            record(Action.PROFILE_CHANGED, actor=None, target=target or world.profile)

    return write
