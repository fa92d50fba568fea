from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from integrations.connectors import http
from integrations.connectors.contract import ConnectorConfig
from integrations.connectors.http import ApiSession, Limits
from integrations.connectors.miro.connector import MiroConnector
from integrations.connectors.miro.sandbox import server as sandbox_server
from integrations.connectors.miro.sandbox.control import SandboxControl
from integrations.connectors.rate_limit import LocalRateBudget
from tests.support.guards.network import AllowHttp
from tests.support.servers.scripted_server import ScriptedServer
from tests.support.vendor.connector_sessions import QUICK, new_miro, new_session


@pytest.fixture(autouse=True)
def no_guard(monkeypatch: pytest.MonkeyPatch) -> None:
    """Remove the guard that the application has registered, and put it back after the test."""
    monkeypatch.setattr(http, "_guard", None)


@pytest.fixture
def server(allow_http: AllowHttp) -> Iterator[ScriptedServer]:
    scripted = ScriptedServer()
    allow_http(scripted.url)
    yield scripted
    scripted.stop()


@pytest.fixture
def budget() -> LocalRateBudget:
    return LocalRateBudget()


@pytest.fixture
def session(server: ScriptedServer, budget: LocalRateBudget) -> ApiSession:
    return new_session(server.url, budget)


@pytest.fixture
def quick_session(server: ScriptedServer, budget: LocalRateBudget) -> ApiSession:
    """Its calls end soon, for tests of the deadline."""
    return new_session(server.url, budget, QUICK)


@pytest.fixture
def miro(server: ScriptedServer, budget: LocalRateBudget) -> MiroConnector:
    """The connector against the scripted server."""
    return new_miro(server.url, f"{server.url}/scim", budget)


@pytest.fixture
def sandbox(allow_http: AllowHttp) -> Iterator[sandbox_server.Sandbox]:
    started = sandbox_server.start(members=230, seed=7)
    allow_http(started.url)
    yield started
    started.stop()


@pytest.fixture
def control(sandbox: sandbox_server.Sandbox) -> SandboxControl:
    return SandboxControl(sandbox.url)


@pytest.fixture
def connect(sandbox: sandbox_server.Sandbox) -> Callable[[], MiroConnector]:
    """The connector against the sandbox, with its tokens."""

    def build() -> MiroConnector:
        urls = sandbox.urls()
        return MiroConnector(
            ConnectorConfig(
                organization_id=urls["organization_id"],
                secrets={
                    "rest": {"access_token": urls["access_token"]},
                    "scim": {"token": urls["scim_token"]},
                },
                addresses={"api": urls["api_url"], "authorize": urls["authorize_url"], "scim": urls["scim_url"]},
                budget=LocalRateBudget(),
            ),
            limits=Limits(connect=1, read=1, total=4, backoff=0.005, max_backoff=0.01),
        )

    return build
