"""Every moment inside the retention reads back exactly as it was known then."""

from __future__ import annotations

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from subscriptions.activity import snapshots
from tests.support.data.scenario import QUICK, STEPS, tell

pytestmark = pytest.mark.django_db


@QUICK
@given(seed=st.integers(0, 2**32), steps=STEPS)
def test_every_moment_reads_back_exactly(seed, steps):
    scenario = tell(seed, steps)
    for moment, known in scenario.told.items():
        assert scenario.read_back(moment) == known
        assert scenario.read_back(moment + timedelta(seconds=1)) == known
    assert scenario.read_back(min(scenario.told) - timedelta(seconds=1)) == {}


def test_without_what_looks_have_replaced_it_does_not(monkeypatch):
    """The control."""
    monkeypatch.setattr("subscriptions.reclaims.recheck.keep_replaced", lambda *args, **kwargs: None)
    with pytest.raises(AssertionError):
        test_every_moment_reads_back_exactly()


def test_read_in_pieces_it_is_the_same(monkeypatch):
    scenario = tell(5, [(True, 1.0), (False, 1.0), (True, 1.0)])
    monkeypatch.setattr(snapshots, "CHUNK", 2)
    for moment, known in scenario.told.items():
        assert scenario.read_back(moment) == known
