"""A request over its cap, for the tests of its page."""

from __future__ import annotations

import pytest

from subscriptions.models import ReclaimRequest, ReclaimRule


@pytest.fixture
def capped(organization, alice) -> ReclaimRequest:
    """A request for three people. The cap is two."""
    ReclaimRule.objects.update(batch_cap_people=2)
    return organization.ask(alice)
