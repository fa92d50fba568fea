"""Every moment inside the retention reads back exactly as it was known then."""

from __future__ import annotations

from datetime import timedelta

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from subscriptions.activity import snapshots
from tests.history.story import Story

pytestmark = pytest.mark.django_db

# (whether it is a run, else a look; days since the last step)
STEPS = st.lists(st.tuples(st.sampled_from([True, True, False]), st.floats(0.1, 25)), min_size=2, max_size=9)
QUICK = settings(
    max_examples=25,
    # To shrink what failed takes minutes of the controls, which are to fail.
    phases=[Phase.generate],
    database=None,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


def tell(seed: int, steps: list[tuple[bool, float]]) -> Story:
    story = Story.begin(seed)
    story.run()
    for is_run, days in steps:
        story.go_on(days)
        story.run() if is_run else story.look()
    return story


@QUICK
@given(seed=st.integers(0, 2**32), steps=STEPS)
def test_every_moment_reads_back_exactly(seed, steps):
    story = tell(seed, steps)
    for moment, known in story.told.items():
        assert story.read_back(moment) == known
        assert story.read_back(moment + timedelta(seconds=1)) == known
    assert story.read_back(min(story.told) - timedelta(seconds=1)) == {}


def test_without_what_looks_have_replaced_it_does_not(monkeypatch):
    """The control."""
    monkeypatch.setattr("subscriptions.reclaims.recheck.keep_replaced", lambda *args, **kwargs: None)
    with pytest.raises(AssertionError):
        test_every_moment_reads_back_exactly()


def test_read_in_pieces_it_is_the_same(monkeypatch):
    story = tell(5, [(True, 1.0), (False, 1.0), (True, 1.0)])
    monkeypatch.setattr(snapshots, "CHUNK", 2)
    for moment, known in story.told.items():
        assert story.read_back(moment) == known
