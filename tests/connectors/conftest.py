from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from integrations.connectors import http
from integrations.connectors.contract import ConnectorConfig, ConnectorError, PermanentError, RateBudget
from integrations.connectors.http import ApiSession, Limits, Rate
from integrations.connectors.miro.connector import MiroConnector
from integrations.connectors.miro.sandbox import server as sandbox_server
from integrations.connectors.miro.sandbox.control import SandboxControl
from integrations.connectors.rate_limit import LocalRateBudget
from integrations.connectors.response import Answer
from tests.connectors.scripted import ScriptedServer
from tests.network import AllowHttp

TOKEN = "s3cr3t-t0ken-of-the-tests"
ORGANIZATION = "3074457345821140946"
RATE = Rate(bucket="test", cost=1, limit=1000, window=60.0)
QUICK = Limits(connect=0.5, read=0.6, total=0.8, body=10_000, backoff=0.005, longest_backoff=0.01)
# For tests that are not about time: a busy machine may stand still for a second.
PATIENT = Limits(connect=2, read=4, total=8, body=10_000, backoff=0.005, longest_backoff=0.01)


@pytest.fixture(autouse=True)
def no_guard(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever the application has registered stays away from these tests, and is back after them."""
    monkeypatch.setattr(http, "_guard", None)


@pytest.fixture
def server(allow_http: AllowHttp) -> Iterator[ScriptedServer]:
    scripted = ScriptedServer()
    allow_http(scripted.url)
    yield scripted
    scripted.stop()


def explain(answer: Answer) -> ConnectorError:
    return PermanentError(f"refused {answer.status}", status=answer.status)


@pytest.fixture
def budget() -> LocalRateBudget:
    return LocalRateBudget()


@pytest.fixture
def session(server: ScriptedServer, budget: LocalRateBudget) -> ApiSession:
    return new_session(server.url, budget)


def new_session(url: str, budget: RateBudget, limits: Limits = QUICK, token: str = TOKEN) -> ApiSession:
    return ApiSession(
        vendor="Miro",
        slot="rest",
        base=url,
        token=lambda rejected: token,
        budget=budget,
        explain=explain,
        limits=limits,
    )


@pytest.fixture
def miro(server: ScriptedServer, budget: LocalRateBudget) -> MiroConnector:
    """The connector against the scripted server."""
    return new_miro(server.url, f"{server.url}/scim", budget)


def new_miro(api: str, scim: str, budget: RateBudget, *, organization: str = ORGANIZATION) -> MiroConnector:
    return MiroConnector(
        ConnectorConfig(
            organization_id=organization,
            secrets={"rest": {"access_token": TOKEN}, "scim": {"token": f"{TOKEN}-scim"}},
            addresses={"api": api, "authorize": api, "scim": scim},
            budget=budget,
        ),
        limits=PATIENT,
    )


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
            limits=Limits(connect=1, read=1, total=4, backoff=0.005, longest_backoff=0.01),
        )

    return build
