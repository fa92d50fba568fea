"""A SCIM server that cannot read one form of `active` gets the next form. After another refusal it gets none."""

from __future__ import annotations

import json
from dataclasses import dataclass, field

import pytest

from integrations.connectors.contract import (
    ConnectorConfig,
    ConnectorError,
    OutcomeUnknown,
    PermanentError,
    TransientError,
)
from integrations.connectors.miro.connector import MiroConnector
from integrations.connectors.miro.sandbox import server as sandbox_server
from integrations.connectors.miro.sandbox.control import SandboxControl
from integrations.connectors.rate_limit import LocalRateBudget
from tests.support.servers.scripted_server import Reply, ScriptedServer
from tests.support.vendor.connector_sessions import PATIENT

PERSON = "3458764500000000001"
SENT = {
    "boolean": {"op": "Replace", "path": "active", "value": False},
    "text": {"op": "Replace", "path": "active", "value": "false"},
    "object": {"op": "Replace", "value": {"active": False}},
}


@dataclass
class FakeMemory:
    values: dict[tuple[str, str], str] = field(default_factory=dict)

    def recall(self, slot: str, name: str) -> str:
        return self.values.get((slot, name), "")

    def keep(self, slot: str, name: str, value: str) -> None:
        self.values[slot, name] = value


def connector(urls: dict[str, str], memory: FakeMemory) -> MiroConnector:
    config = ConnectorConfig(
        organization_id=urls["organization_id"],
        secrets={"rest": {"access_token": urls["access_token"]}, "scim": {"token": urls["scim_token"]}},
        addresses={"api": urls["api_url"], "authorize": urls["api_url"], "scim": urls["scim_url"]},
        budget=LocalRateBudget(),
        memory=memory,
    )
    return MiroConnector(config, limits=PATIENT)


def at(server: ScriptedServer, memory: FakeMemory) -> MiroConnector:
    urls = dict.fromkeys(("api_url", "scim_url"), server.url)
    return connector({**urls, "organization_id": "1", "access_token": "t0ken", "scim_token": "t0ken"}, memory)


def forms_sent(server: ScriptedServer) -> list[str]:
    operations = [json.loads(seen.body)["Operations"] for seen in server.seen if seen.method == "PATCH"]
    return [next(name for name, sent in SENT.items() if [sent] == operation) for operation in operations]


def refusal(status: int, kind: str) -> Reply:
    return Reply(status=status, data={"scimType": kind, "detail": "no", "status": str(status)})


@pytest.mark.parametrize(("patch_value", "first"), [("both", 1), ("boolean", 1), ("string", 2), ("object", 3)])
def test_the_form_that_was_accepted_is_kept_and_changes_one_person_once(
    sandbox: sandbox_server.Sandbox, control: SandboxControl, patch_value: str, first: int
) -> None:
    control.set_toggles(patch_value=patch_value)
    memory = FakeMemory()
    [one, other] = [member.id for member in sandbox.world.directory() if member.role.endswith("_user")][:2]

    def patches() -> int:
        return sum(request["method"] == "PATCH" for request in control.requests())

    assert connector(sandbox.urls(), memory).deactivate(one).active is False
    assert patches() == first
    # Another process, with another connector: it begins with the form that was accepted.
    miro = connector(sandbox.urls(), memory)
    assert miro.deactivate(other).active is False
    assert miro.reactivate(other).active is True
    assert patches() == first + 2
    assert [(step["id"], step["to"]) for step in control.truth()["transitions"]] == [
        (one, False),
        (other, False),
        (other, True),
    ]
    [said] = [finding for finding in miro.validate() if finding.title == "Deactivation"]
    assert "Not tested" in said.detail
    assert ("as text" in said.detail, "as object" in said.detail) == (patch_value == "string", patch_value == "object")


def test_a_vendor_that_later_reads_another_form_gets_it(server: ScriptedServer) -> None:
    memory = FakeMemory({("scim", "active_form"): "text"})
    server.replies = [refusal(400, "invalidValue"), Reply(data={"id": PERSON, "active": False})]
    assert at(server, memory).deactivate(PERSON).status == 200
    assert forms_sent(server) == ["text", "boolean"]
    assert memory.values == {("scim", "active_form"): "boolean"}


@pytest.mark.parametrize(
    ("reply", "expected"),
    [
        (refusal(400, ""), PermanentError),
        (refusal(400, "uniqueness"), PermanentError),
        (refusal(400, "invalidPath"), PermanentError),
        (refusal(409, "invalidValue"), PermanentError),
        (refusal(404, "invalidValue"), PermanentError),
        (refusal(403, "invalidValue"), ConnectorError),
        (refusal(429, "invalidValue"), TransientError),
        (refusal(500, "invalidValue"), OutcomeUnknown),
        (Reply(data={"id": PERSON}, manner="cut"), OutcomeUnknown),
        (Reply(raw=b"<html>"), OutcomeUnknown),
        (Reply(data={"id": "another"}), OutcomeUnknown),
    ],
)
def test_after_any_other_answer_nothing_more_is_sent(
    server: ScriptedServer, reply: Reply, expected: type[ConnectorError]
) -> None:
    memory = FakeMemory()
    server.replies = [reply]
    with pytest.raises(expected):
        at(server, memory).deactivate(PERSON)
    assert forms_sent(server) == ["boolean"]

    # The same answer to the second form: it is the last one.
    server.seen.clear()
    server.replies = [refusal(400, "invalidSyntax"), reply]
    with pytest.raises(expected):
        at(server, memory).deactivate(PERSON)
    assert forms_sent(server) == ["boolean", "text"]
    assert memory.values == {}


def test_a_server_that_reads_no_form_is_asked_once_with_each(server: ScriptedServer) -> None:
    server.replies = [refusal(400, "invalidValue")]
    memory = FakeMemory()
    with pytest.raises(PermanentError, match="no"):
        at(server, memory).reactivate(PERSON)
    assert len(server.seen) == 3
    assert memory.values == {}
