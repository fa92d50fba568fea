"""The pages of these tests call no worker, since there is no broker."""

from __future__ import annotations

import pytest


@pytest.fixture(autouse=True)
def _no_worker(workers_called: list[int]) -> None:
    """`workers_called` lists for which profiles a worker would have been called."""
