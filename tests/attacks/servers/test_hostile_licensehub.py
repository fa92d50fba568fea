"""A LicenseHub that was taken over, or a server in its place, and the people and programs that call it with a token."""

from __future__ import annotations

import io
import json
import os
import re
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from typing import Any
from urllib.parse import urlsplit

import pytest
from django.core.management import CommandError, call_command

from licensehub.api.client import ApiError, Client, transport
from licensehub.api.mcp.server import serve
from licensehub.api.mcp.tools import tools
from licensehub.command_line import calls
from licensehub.command_line.main import cli as group
from licensehub.command_line.main import main
from tests.attacks.servers import test_hostile_servers
from tests.attacks.servers.test_hostile_servers import HOSTILE, ends_in_time, takes_little_memory
from tests.licensehub.api.test_mcp import DOCUMENT, used
from tests.licensehub.command_line.test_commands import leaves
from tests.support.servers.scripted_server import Reply, ScriptedServer
from tests.support.servers.webhooks import Receiver, write_certificate

TOKEN = "lh_abcdefghijkl_" + "x" * 43
# It sets the title of a terminal, clears it, colors what follows, turns the text around, and is half a surrogate.
EVIL = "\x1b]0;owned\x07\x1b[2J\x9b31mred\r\n\u202eexe.\ud800"
BOLD = re.compile("\x1b\\[(1|22|0)m")  # of our headings
CONTROL = re.compile("[^\n\x20-\x7e–…“”]")


def sample(schema: Mapping[str, Any]) -> Any:
    """An answer of this form, with the hostile text wherever there is a text, also as a name."""
    if "$ref" in schema:
        return sample(DOCUMENT["components"]["schemas"][schema["$ref"].rpartition("/")[2]])
    if "anyOf" in schema:
        return sample(schema["anyOf"][0])
    if schema.get("type") == "array":
        return [sample(schema["items"])]
    if schema.get("type") == "object":
        found = {name: sample(one) for name, one in schema.get("properties", {}).items()}
        extra = schema.get("additionalProperties")
        return (
            {**found, EVIL: sample(extra)}
            if isinstance(extra, dict)
            else {"by_license": {EVIL: 1}, EVIL: EVIL, **found}
        )
    return {"integer": 1, "number": 1.5, "boolean": True}.get(schema.get("type", ""), EVIL)


def answer(method: str, address: str, headers: Mapping[str, str], body: bytes | None) -> tuple[int, bytes]:
    path = urlsplit(address).path
    for pattern, operations in DOCUMENT["paths"].items():
        operation = operations.get(method.lower())
        if operation and re.fullmatch(re.sub(r"\{\w+\}", r"\\d+", pattern), path):
            [status] = [code for code in operation["responses"] if code.startswith("2")]
            found = sample(operation["responses"][status]["content"]["application/json"]["schema"])
            if "next_cursor" in found:
                found["next_cursor"] = None
            return int(status), json.dumps(found).encode()
    raise AssertionError(path)


def refuse(*_: object) -> tuple[int, bytes]:
    problem = {"code": EVIL, "detail": EVIL, "errors": [{"place": EVIL, "detail": EVIL}], EVIL: EVIL}
    return 422, json.dumps(problem).encode()


def read_terminal(main_side: int) -> bytes:
    """Read all that a terminal was shown. One read may return a part of it."""
    found = b""
    with os.fdopen(main_side, "rb", buffering=0) as shown, suppress(OSError):  # EIO: the other side is closed
        while part := shown.read(100_000):
            found += part
    return found


@pytest.fixture
def licensehub(monkeypatch, tmp_path) -> Iterator[Callable[..., Any]]:
    """Run a command against a LicenseHub that answers so, with standard output on a terminal. Returns what it shows."""

    def run(send: transport.Send, *words: str) -> str:
        main_side, terminal = os.openpty()
        with os.fdopen(terminal, "w", encoding="utf-8", errors="surrogatepass") as out, monkeypatch.context() as patch:
            patch.setattr(calls, "client_for", lambda url, token_file: Client("https://x", TOKEN, send=send))
            patch.setattr(calls.time, "sleep", lambda seconds: None)
            patch.setattr(sys, "stdout", out)
            patch.setattr(sys, "stderr", out)
            main(list(words))
        shown = read_terminal(main_side).decode(errors="surrogateescape")
        return BOLD.sub("", shown.replace("\r\n", "\n"))

    return run


FILE = "FILE"
COMMANDS = """
me | users list | users invite a@northwind.example A B --role Auditor | users changes | roles list
profiles list | profiles show 1 | connections list | connections test 1 | rules show 1 | rules preview 1
protections list | protections add 1 a@northwind.example --reason x --owner x | protections end 1
protections import 1 FILE | protections export 1 | candidates list | requests list | requests show 1
requests create 1 --reason x | requests withdraw 1 | decisions approve 1 --digest d --revision 0
decisions reject 1 --comment x | history list | history restore 1 --reason x | history restore 1 2 --reason x
runs list | runs start 1 | runs stop 1 | runs stop --everything --reason x | subscriptions list
subscriptions show 1 | savings | savings --profile Nobody | audit | export subscriptions
export audit --format jsonl | webhooks list | webhooks show 1 | webhooks deliveries 1
decisions approve 1 --digest d --revision 0 --as bob | users grant bob --role Auditor | users revoke bob --role Auditor
"""
LINES = [line.strip() for line in re.split(r"[|\n]", COMMANDS) if line.strip()]


def test_each_command_is_attacked():
    here = {"completion", "apply", "doctor", "dump"}
    named = {" ".join(words) for words, _command in leaves(group) if words[0] not in here}
    assert {one for one in named if not any(line.startswith(one) for line in LINES)} == set()


@pytest.mark.parametrize("line", LINES)
def test_no_text_of_a_server_reaches_the_terminal_as_a_command(licensehub, tmp_path, line):
    """Control: without `printable` in `say`, in `show_values` and in `Terminal`, 14 of these are red."""
    file = tmp_path / "leave.csv"
    file.write_text("a@northwind.example\n")
    words = [str(file) if word == FILE else word for word in line.split()]
    forms = [words] if line.startswith("export") else [words, [*words, "--json"]]
    for send in (answer, refuse):
        for form in forms:
            shown = licensehub(send, *form)
            assert shown and not CONTROL.search(shown), (form, shown)


def test_what_a_person_confirms_is_shown_as_it_is(licensehub, monkeypatch):
    class Keyboard(io.StringIO):
        def isatty(self) -> bool:
            return True

    monkeypatch.setattr(sys, "stdin", Keyboard("n\n"))
    shown = licensehub(answer, "decisions", "approve", "1")
    assert "Approve [U+001B]" in shown and not CONTROL.search(shown)


def test_an_export_is_written_where_its_person_says(licensehub, tmp_path, monkeypatch):
    """No path comes from an answer, and a file keeps each character but the half one."""
    monkeypatch.chdir(tmp_path)
    licensehub(answer, "export", "subscriptions", "--output", "people.csv")
    licensehub(answer, "export", "audit", "--format", "jsonl", "--output", "audit.jsonl")
    assert sorted(one.name for one in tmp_path.iterdir()) == ["audit.jsonl", "people.csv"]
    assert "\x1b]0;owned\x07" in (tmp_path / "people.csv").read_text()
    assert json.loads((tmp_path / "audit.jsonl").read_text())["target"] == EVIL


def test_a_list_and_a_request_have_an_end(licensehub):
    """Control: a page that names itself as the next one is read for ever, and so is a request that always changes."""
    counted = iter(range(1000))

    def endless(method: str, address: str, *rest: Any) -> tuple[int, bytes]:
        status, content = answer(method, address, *rest)
        found = {**json.loads(content), "digest": str(next(counted))}
        return status, json.dumps({**found, "next_cursor": "again"} if "users" in address else found).encode()

    assert "has no end" in licensehub(endless, "users", "grant", "bob", "--role", "Auditor")
    assert "changes again and again" in licensehub(endless, "requests", "show", "1")
    assert next(counted) < 20


# --- Over the network -------------------------------------------------------------------------------------------------


@pytest.fixture
def server(allow_http) -> Iterator[ScriptedServer]:
    found = ScriptedServer()
    allow_http(found.url)
    yield found
    found.stop()


@pytest.mark.parametrize("manner", ["byte by byte", "headers byte by byte", "a hundred thousand headers", "huge"])
@pytest.mark.parametrize("status", [200, 500])
def test_an_answer_ends_in_time_and_in_size(server, monkeypatch, manner, status):
    """Control: by urllib's usual connections, the first two take minutes, and the last one any memory."""
    monkeypatch.setattr(transport, "SECONDS", 30.0 if manner == "huge" else 0.3)
    monkeypatch.setattr(transport, "MAX_ANSWER", 1_000_000)
    if manner == "huge":
        monkeypatch.setattr(test_hostile_servers, "MEMORY", 10_000_000)
    reply = HOSTILE[manner]
    server.replies = [Reply(status, raw=reply.raw, headers=reply.headers, manner=reply.manner)]
    with ends_in_time(), takes_little_memory(), pytest.raises(ApiError, match="does not answer") as refused:
        Client(server.url, TOKEN).me()
    assert (refused.value.status, refused.value.code) == (0, "unreachable") and TOKEN not in str(refused.value)


ODD = {
    "very deep": b'{"a":' * 100_000,
    "a huge number": b'{"a": ' + b"9" * 5000 + b"}",
    "a list": b'[{"account": "bob"}]',
    "a text": b'"bob"',
    "no JSON": b"\x00\xff\x1b[2J",
}


@pytest.mark.parametrize("name", ODD)
@pytest.mark.parametrize("status", [200, 403])
def test_json_that_is_no_answer_is_an_error_with_a_sentence(name, status):
    with pytest.raises(ApiError, match="not one of LicenseHub"):
        Client("https://x", TOKEN, send=lambda *_: (status, ODD[name])).me()
    assert used(Client("https://x", TOKEN, send=lambda *_: (status, ODD[name])), "me")[1]


def test_a_redirect_to_another_host_gets_no_token(server):
    """Control: with urllib's usual opener, the other server gets the token."""
    other = ScriptedServer()
    other.replies = [Reply(data={})]
    try:
        for status in (301, 302, 303, 307, 308):
            server.replies = [Reply(status, raw=b"", headers={"Location": f"{other.url}/api/v1/me"})]
            with pytest.raises(ApiError, match="not one of LicenseHub"):
                Client(server.url, TOKEN).me()
        assert len(server.seen) == 5 and not other.seen
    finally:
        other.stop()


@pytest.mark.parametrize(
    "url", ["http://licensehub.example", "http://127.0.0.1.licensehub.example", "http://[", "ftp://x"]
)
def test_no_program_sends_a_token_over_http(url, monkeypatch):
    """Control: the assistant's server took any `--url`."""
    with pytest.raises(ValueError, match="https"):
        Client(url, TOKEN).me()
    monkeypatch.setenv("LICENSEHUB_TOKEN", TOKEN)
    with pytest.raises(CommandError, match="https"):
        call_command("mcp", "--url", url)


@pytest.mark.parametrize("token", [f"{TOKEN}\r\nX-Evil: 1", f"{TOKEN} x", f"{TOKEN}\0", f"{TOKEN}é"])
def test_an_error_does_not_show_the_token(token, monkeypatch):
    """Control: the error of `http.client` about the header had all of it."""
    monkeypatch.setattr(os, "environ", {**os.environ, "LICENSEHUB_TOKEN": token})
    with pytest.raises(CommandError, match="no token") as refused:
        call_command("mcp", "--url", "https://licensehub.example")
    assert "xxx" not in str(refused.value)


@pytest.mark.parametrize("name", ["localhost", "other.example", "nobody vouches"])
def test_a_certificate_is_one_of_the_host(monkeypatch, tmp_path, allow_http, name):
    """Control: with a context that checks nothing, each of these servers gets the token."""
    file = tmp_path / "server.pem"
    write_certificate(file, "localhost" if name == "nobody vouches" else name)
    if name != "nobody vouches":
        monkeypatch.setenv("SSL_CERT_FILE", str(file))
    server = Receiver(file)
    client = Client(f"https://localhost:{server.port}", TOKEN)
    allow_http(f"https://localhost:{server.port}")
    try:
        if name == "localhost":
            assert client.me() == {"ok": True}
        else:
            with pytest.raises(ApiError, match="certificate verify failed"):
                client.me()
        assert len(server.seen) == (name == "localhost")
    finally:
        server.stop()


# --- The server of an assistant ---------------------------------------------------------------------------------------


def test_no_answer_ends_the_server_of_an_assistant():
    """Control: half a surrogate, or digits that are not ASCII in a path, ended the process with a traceback."""
    caller = Client("https://x", TOKEN, send=answer)

    def tool(name: str, **arguments: object) -> dict[str, Any]:
        return {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": name, "arguments": arguments}}

    messages = (
        tool("me"),
        tool("subscription", pk="٣"),
        tool("subscriptions", q="\ud800"),
        "[" * 100_000,
        {"jsonrpc": "2.0", "id": 1, "method": "\ud800"},
        {"jsonrpc": "2.0", "id": 1, "method": "ping"},
    )
    lines = "".join(f"{one if isinstance(one, str) else json.dumps(one)}\n" for one in messages)
    written = io.BytesIO()
    output = io.TextIOWrapper(written, "utf-8")
    serve(tools(DOCUMENT), caller, io.StringIO(lines), output)
    answers = [json.loads(line) for line in written.getvalue().splitlines()]
    texts = [one["result"]["content"][0]["text"] for one in answers[:3]]
    assert json.loads(texts[0])["account"] == EVIL and [one["result"]["isError"] for one in answers[:3]] == [
        False,
        True,
        True,
    ]
    assert [one["error"]["code"] for one in answers[3:5]] == [-32700, -32601] and answers[5]["result"] == {}
