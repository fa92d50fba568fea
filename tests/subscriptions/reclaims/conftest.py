from __future__ import annotations

from datetime import timedelta

import pytest

from subscriptions.models import Reclaim
from subscriptions.reclaims import holds
from tests.support.people.restoring import reclaimed


@pytest.fixture
def read_again_at_once(monkeypatch):
    """The second look at a doubt usually comes some seconds after the first."""
    monkeypatch.setattr("subscriptions.reclaims.outcomes.READ_BACK_DELAY", timedelta(0))


@pytest.fixture
def reclaimed_person(world, alice, bob, request) -> Reclaim:
    world.cache.scene(request, lambda: reclaimed(world, alice, bob, 1), world.sandbox)
    return Reclaim.objects.get()


@pytest.fixture
def no_validation(monkeypatch):
    """The connections are not tried before the batch: the faults below are for what comes after."""
    monkeypatch.setattr(holds, "validate_connections", lambda profile, actor: [])
