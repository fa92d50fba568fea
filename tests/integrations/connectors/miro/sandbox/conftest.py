"""A sandbox per test that changes it, one per module for those that only read."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from integrations.connectors.miro.sandbox.control import SandboxControl
from integrations.connectors.miro.sandbox.server import Sandbox, start
from tests.support.vendor.sandbox_client import Client


@pytest.fixture
def make() -> Iterator[Callable[..., Client]]:
    running: list[Sandbox] = []

    def build(members: int = 100, **options: Any) -> Client:
        running.append(start(members=members, **options))
        return Client(running[-1])

    yield build
    for sandbox in running:
        if not sandbox.stopping.is_set():
            sandbox.stop()


@pytest.fixture
def miro(make: Callable[..., Client]) -> Client:
    return make(100)


@pytest.fixture
def control(miro: Client) -> SandboxControl:
    return miro.control
