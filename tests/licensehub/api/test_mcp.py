"""The MCP server: an assistant with the official client reads and prepares, and has no tool that decides."""

from __future__ import annotations

import io
import json
import sys

import anyio
import pytest
from django.conf import settings

from licensehub.api.client.transport import Caller
from licensehub.api.management.commands.openapi import FILE
from licensehub.api.mcp.server import serve
from licensehub.api.mcp.tools import PREPARES, READS, tools
from subscriptions.models import CandidateState, Protection, ReclaimRequest, RemovalCandidate, Subscription
from tests.licensehub.api.test_client import over_django

DOCUMENT = json.loads((settings.BASE_DIR / FILE).read_text())


def test_no_tool_decides():
    """A new operation is no tool until somebody names it."""
    found = tools(DOCUMENT)
    assert set(found) == READS | PREPARES
    writes = {name for name, tool in found.items() if not tool.reads}
    assert writes == {"make_request"}
    for tool in found.values():
        assert not set(tool.path.split("/")) & {"approve", "reject", "restore", "reclaim", "download", "stop", "end"}


def asked(caller: Caller, *messages: object) -> list[dict]:
    """The answers to these messages, one for each line."""
    lines = "\n".join(one if isinstance(one, str) else json.dumps(one) for one in messages)
    written = io.StringIO()
    serve(tools(DOCUMENT), caller, io.StringIO(lines + "\n"), written)
    return [json.loads(line) for line in written.getvalue().splitlines()]


def used(caller: Caller, name: str, **arguments: object) -> tuple[str, bool]:
    params = {"name": name, "arguments": arguments}
    [answer] = asked(caller, {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params})
    return answer["result"]["content"][0]["text"], answer["result"]["isError"]


def test_who_has_not_used_it_since_june_and_why_are_they_no_candidates(organization, program, alice):
    """The question of the issue, as an assistant asks it."""
    Subscription.objects.filter(external_id="1005").update(reclaimable=False, why_not="The vendor says no.")
    protected = organization.profile, "person", "person6@northwind.example"
    Protection.objects.create(
        profile=protected[0], kind=protected[1], value=protected[2], reason="On leave", owner="HR", created_by=alice
    )
    organization.propose()
    caller = Caller("http://testserver", program(alice, "Auditor").text, send=over_django)
    text, is_error = used(caller, "subscriptions", idle_before="2100-01-01", holds_seat=True, limit=200)
    assert not is_error
    found = {one["external_id"]: one["verdict"] for one in json.loads(text)["items"]}
    assert len(found) == 12 and found["1004"]["code"] == "candidate"
    assert found["1005"]["code"] == "cannot_be_removed" and found["1005"]["reason"]
    assert found["1006"]["code"] == "protected" and "On leave" in found["1006"]["reason"]
    pk = next(one["id"] for one in json.loads(text)["items"] if one["external_id"] == "1006")
    page = json.loads(used(caller, "subscription", pk=pk)[0])
    assert "On leave" in page["protections"][0] and page["checks"]


def test_an_assistant_prepares_what_another_person_decides(organization, program, alice):
    caller = Caller("http://testserver", program(alice).text, send=over_django)
    ready = RemovalCandidate.objects.filter(state=CandidateState.READY).first()
    text, is_error = used(caller, "make_request", candidates=[ready.pk], reason="True-up")
    assert not is_error and ReclaimRequest.objects.get(pk=json.loads(text)["request"]).requested_by == alice
    again, is_error = used(caller, "make_request", candidates=[ready.pk])
    assert is_error and "None of these candidates is Ready" in again
    reader = Caller("http://testserver", program(alice, "Auditor").text, send=over_django)
    assert used(reader, "make_request", candidates=[ready.pk])[1]


def test_odd_messages_are_answered_and_never_end_the_server(program, alice):
    caller = Caller("http://testserver", "lh_wrong", send=over_django)
    ask = {"jsonrpc": "2.0", "id": 7, "method": "tools/call"}
    odd = [
        "{",
        "[]",
        '{"id": 1}',
        {**ask, "params": []},
        {**ask, "params": {"name": "approve"}},
        {**ask, "method": "x"},
    ]
    odd += [{**ask, "params": {"name": "me", "arguments": [1]}}]
    codes = [answer["error"]["code"] for answer in asked(caller, *odd)]
    assert codes == [-32700, -32600, -32600, -32602, -32602, -32601, -32602]
    assert asked(caller, {"jsonrpc": "2.0", "method": "notifications/initialized"}, "") == []
    assert used(caller, "me") == ("This token is not known. (wrong_token)", True)
    for arguments in ({}, {"pk": "../me"}, {"pk": 1, "and": 2}, {"pk": -1}):
        assert used(caller, "subscription", **arguments)[1]


@pytest.mark.markup
def test_the_official_client_talks_to_the_command(real_transactions, program, carol, live_server, allow_http):
    # Here, since each process of a run imports all tests, and this client takes a while.
    from mcp import ClientSession, StdioServerParameters, stdio_client

    sent = program(carol)
    given = {"LICENSEHUB_TOKEN": sent.text, "DJANGO_SETTINGS_MODULE": "tests.settings"}
    command = [str(settings.BASE_DIR / "manage.py"), "mcp", "--url", live_server.url]
    started = StdioServerParameters(command=sys.executable, args=command, env=given, cwd=settings.BASE_DIR)

    async def talk() -> tuple[str, set[str], str]:
        async with stdio_client(started) as (read, write), ClientSession(read, write) as session:
            began = await session.initialize()
            listed = {tool.name for tool in (await session.list_tools()).tools}
            answer = await session.call_tool("me", {})
            return began.instructions or "", listed, answer.content[0].text

    instructions, listed, answer = anyio.run(talk)
    assert "no tool can" in instructions and listed == READS | PREPARES
    assert json.loads(answer)["account"] == "carol"
