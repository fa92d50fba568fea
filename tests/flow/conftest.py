from __future__ import annotations

from datetime import timedelta

import pytest


@pytest.fixture
def read_again_at_once(monkeypatch):
    """The second look at a doubt usually comes some seconds after the first."""
    monkeypatch.setattr("subscriptions.settling.READ_AGAIN", timedelta(0))
