"""The error for each refusal of Miro, for a read and for a write."""

from __future__ import annotations

import json

import pytest

from integrations.connectors.contract import (
    BadAnswer,
    ConfigError,
    Connector,
    ConnectorConfig,
    ConnectorError,
    OutcomeUnknown,
    PermanentError,
    TransientError,
)
from integrations.connectors.miro.connector import MiroConnector
from integrations.connectors.rate_limit import LocalRateBudget
from tests.support.servers.scripted_server import Reply, ScriptedServer
from tests.support.vendor.connector_sessions import TOKEN

SCIM_ERROR = "urn:ietf:params:scim:api:messages:2.0:Error"


def rest_error(status: int, code: str) -> Reply:
    return Reply(status=status, data={"type": "error", "status": status, "code": code, "message": "Words."})


def scim_error(status: int, detail: str = "Words of Miro.") -> Reply:
    return Reply(status=status, data={"schemas": [SCIM_ERROR], "status": str(status), "detail": detail})


@pytest.mark.parametrize(
    ("reply", "expected", "words"),
    [
        (rest_error(401, "tokenNotFound"), ConfigError, r"401 tokenNotFound\). Connect to Miro again"),
        (Reply(status=401, raw=b"<html>"), ConfigError, r"\(401\)"),
        (rest_error(403, "insufficientPermissions"), ConfigError, "organizations:read"),
        (rest_error(403, "forbiddenAccess"), ConfigError, "company admin"),
        (rest_error(404, "notFound"), ConfigError, "organization ID"),
        (rest_error(400, "invalidParameters"), PermanentError, "Words."),
        (rest_error(409, "conflict"), PermanentError, "Words."),
        (Reply(status=418, raw=b""), PermanentError, "gives no reason"),
        (rest_error(429, "tooManyRequests"), TransientError, "fewer requests|rate limit"),
        (rest_error(500, "internalError"), TransientError, "problem of its own"),
    ],
)
def test_rest(
    server: ScriptedServer, miro: MiroConnector, reply: Reply, expected: type[ConnectorError], words: str
) -> None:
    server.replies = [reply]
    with pytest.raises(expected, match=words) as caught:
        miro.allocation()
    if isinstance(caught.value, ConfigError):
        assert caught.value.slot == "rest"


@pytest.mark.parametrize(
    ("reply", "expected", "words"),
    [
        (scim_error(401), ConfigError, "SCIM API token"),
        (scim_error(403), ConfigError, "switched off"),
        (scim_error(404), PermanentError, "neither guests nor external users.*Words of Miro."),
        (Reply(status=404, raw=b"<html>"), ConfigError, "address is probably wrong"),
        (Reply(status=404, raw=b""), ConfigError, "address is probably wrong"),
        (scim_error(409), PermanentError, r"Miro refuses \(409\): Words of Miro."),
        (scim_error(400), PermanentError, "Words of Miro."),
        (scim_error(405), PermanentError, "Words of Miro."),
        (scim_error(415), PermanentError, "Words of Miro."),
    ],
)
@pytest.mark.parametrize("act", ["is_active", "deactivate", "reactivate"])
def test_scim_refuses(
    server: ScriptedServer, miro: MiroConnector, reply: Reply, expected: type[ConnectorError], words: str, act: str
) -> None:
    server.replies = [reply]
    with pytest.raises(expected, match=words) as caught:
        getattr(miro, act)("1")
    assert len(server.seen) == 1
    if isinstance(caught.value, ConfigError):
        assert caught.value.slot == "scim"


@pytest.mark.parametrize("reply", [scim_error(500), scim_error(503), Reply(manner="cut"), Reply(raw=b"<html>")])
def test_scim_breaks_down(server: ScriptedServer, miro: MiroConnector, reply: Reply) -> None:
    server.replies = [reply]
    with pytest.raises(OutcomeUnknown):
        miro.deactivate("1")
    assert len(server.seen) == 1
    with pytest.raises((TransientError, BadAnswer)):
        miro.is_active("1")


def test_a_write_is_what_miro_documents(server: ScriptedServer, miro: MiroConnector) -> None:
    server.replies = [Reply(data={"id": "1", "active": False}, headers={"X-Request-Id": "r-1"})]
    receipt = miro.deactivate("1")
    assert (receipt.status, receipt.active, receipt.request_id) == (200, False, "r-1")
    sent = server.seen[0]
    assert (sent.method, sent.path) == ("PATCH", "/scim/Users/1")
    assert sent.headers["Content-Type"] == "application/scim+json"
    assert json.loads(sent.body) == {
        "schemas": ["urn:ietf:params:scim:api:messages:2.0:PatchOp"],
        "Operations": [{"op": "Replace", "path": "active", "value": False}],
    }


def test_reactivate_is_the_same_the_other_way(server: ScriptedServer, miro: MiroConnector) -> None:
    server.replies = [Reply(data={"id": "1", "active": "True"})]
    assert miro.reactivate("1").active is True
    assert json.loads(server.seen[0].body)["Operations"][0]["value"] is True


def test_a_write_without_a_body_in_the_answer(server: ScriptedServer, miro: MiroConnector) -> None:
    server.replies = [Reply(status=204, raw=b"")]
    assert miro.deactivate("1").active is None


@pytest.mark.parametrize("data", [{"id": "2", "active": False}, {"active": False}, [], "ok"])
def test_the_answer_to_a_write_about_somebody_else_leaves_it_in_doubt(
    server: ScriptedServer, miro: MiroConnector, data: object
) -> None:
    server.replies = [Reply(data=data)]
    with pytest.raises(OutcomeUnknown, match="somebody else"):
        miro.deactivate("1")


@pytest.mark.parametrize("data", [{"id": "2", "active": False}, {"id": "1"}, {"id": "1", "active": "maybe"}, []])
def test_a_read_back_is_not_guessed(server: ScriptedServer, miro: MiroConnector, data: object) -> None:
    server.replies = [Reply(data=data)]
    with pytest.raises(BadAnswer):
        miro.is_active("1")


@pytest.mark.parametrize("external_id", ["", "..", "../Groups/1", "1?x=y"])
def test_an_id_that_would_change_the_path_is_not_sent(
    server: ScriptedServer, miro: MiroConnector, external_id: str
) -> None:
    with pytest.raises(BadAnswer):
        miro.deactivate(external_id)
    assert server.seen == []


@pytest.mark.parametrize("status", [400, 401])
def test_both_ways_of_a_dead_token(server: ScriptedServer, miro: MiroConnector, status: int) -> None:
    server.replies = [rest_error(status, "tokenNotFound")]
    assert "does not accept the access token" in miro.validate()[0].detail


def test_a_missing_secret_names_its_slot_when_it_is_used(server: ScriptedServer) -> None:
    addresses = {"api": server.url, "authorize": server.url, "scim": server.url}
    empty: Connector = MiroConnector(
        ConnectorConfig(organization_id="1", secrets={}, addresses=addresses, budget=LocalRateBudget())
    )
    with pytest.raises(ConfigError, match="no token yet") as caught:
        empty.allocation()
    assert caught.value.slot == "rest"
    with pytest.raises(ConfigError) as caught:
        empty.is_active("1")
    assert caught.value.slot == "scim"


def test_the_token_is_not_in_the_bucket_or_the_repr(miro: MiroConnector, server: ScriptedServer) -> None:
    buckets: list[str] = []

    class Spy(LocalRateBudget):
        def take(self, bucket: str, *, cost: int, limit: int, window: float) -> float:
            buckets.append(f"{bucket} {cost}/{limit}/{window}")
            return 0.0

    server.replies = [Reply(data={"id": "1", "active": True})]
    secrets = {"rest": {"access_token": TOKEN}, "scim": {"token": TOKEN}}
    config = ConnectorConfig(
        organization_id="1", secrets=secrets, addresses={"api": server.url, "scim": server.url}, budget=Spy()
    )
    spied = MiroConnector(config)
    spied.allocation()
    spied.is_active("1")
    spied.deactivate("1")
    assert [entry.split()[1] for entry in buckets] == ["500/100000/60.0", "1/200/30.0", "1/100/30.0"]
    assert TOKEN not in repr(config) + repr(spied) + repr(miro) + "".join(buckets)
