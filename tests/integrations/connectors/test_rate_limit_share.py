"""With its share of the limits, a busy connection meets no 429; the control without it does."""

from __future__ import annotations

import pytest

from integrations.connectors.contract import ConnectorConfig, TransientError
from integrations.connectors.http import Limits
from integrations.connectors.miro.connector import MiroConnector
from integrations.connectors.miro.sandbox.control import SandboxControl
from integrations.connectors.miro.sandbox.server import Sandbox, start
from integrations.connectors.rate_limit import LocalRateBudget

# Of the sandbox's 100,000 credits a minute; one call for the organization costs 500.
CALLS = 450  # more than two windows hold, wherever the minute ends


class Share(LocalRateBudget):
    """The same as SharedRateBudget, for this process alone."""

    def __init__(self, share: float) -> None:
        super().__init__()
        self.share = share

    def take(self, bucket: str, *, cost: int, limit: int, window: float) -> float:
        return super().take(bucket, cost=cost, limit=int(limit * self.share), window=window)

    def drain(self, bucket: str, *, seconds: float) -> None:
        """Ignore Miro's own headers, which would delay us, too: this test is about the share alone."""


def refused(sandbox: Sandbox, share: float) -> int:
    """The number of 429 that the sandbox gives to a client that asks as fast as the budget allows."""
    urls = sandbox.urls()
    config = ConnectorConfig(
        organization_id=urls["organization_id"],
        secrets={"rest": {"access_token": urls["access_token"]}},
        addresses={"api": urls["api_url"], "scim": urls["scim_url"], "authorize": ""},
        budget=Share(share),
        account="busy",
    )
    connector = MiroConnector(config, limits=Limits(total=1.0, tries=1))
    for _ in range(CALLS):
        try:
            connector.allocation()
        except TransientError:
            break
    return sum(entry["status"] == 429 for entry in SandboxControl(sandbox.control_url).requests())


@pytest.fixture
def sandbox(allow_http):
    running = start(members=20, seed=3)
    allow_http(running.control_url)
    yield running
    running.stop()


def test_with_eighty_percent_there_is_no_429(sandbox: Sandbox) -> None:
    assert refused(sandbox, 0.8) == 0


def test_the_control_with_too_much_meets_one(sandbox: Sandbox) -> None:
    assert refused(sandbox, 3.0) > 0
