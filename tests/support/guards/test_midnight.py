"""A test that would begin in the last seconds of a year begins in the next one."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from tests.support.guards.midnight import seconds_to_wait

END = datetime(2027, 1, 1, tzinfo=UTC)


@pytest.mark.parametrize(("before", "expected"), [(0.5, 0.5), (20, 20), (21, 0), (0, 0), (40_000, 0)])
def test_only_the_last_seconds_are_waited_for(before, expected):
    assert seconds_to_wait(END - timedelta(seconds=before)) == expected
