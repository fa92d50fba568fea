"""An MCP server on standard input and output: one JSON message in a line, as JSON-RPC 2.0.

Only what tools need of the protocol. The library for it would bring a web server and twenty packages into production;
the test lets its client call this server. https://modelcontextprotocol.io/specification
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import IO, Any, Final

from licensehub.api.client.transport import Caller
from licensehub.api.mcp.tools import INSTRUCTIONS, Tool, call

# The newest first. A client that asks for another one is offered the newest.
VERSIONS: Final = ("2025-11-25", "2025-06-18", "2025-03-26", "2024-11-05")
PARSE_ERROR: Final = -32700
INVALID_REQUEST: Final = -32600
NO_METHOD: Final = -32601
INVALID_PARAMS: Final = -32602
MAX_LINE: Final = 1_000_000


class RpcError(Exception):
    def __init__(self, code: int, text: str) -> None:
        super().__init__(text)
        self.code = code


def serve(tools: Mapping[str, Tool], caller: Caller, read: IO[str], write: IO[str]) -> None:
    """Answer each line, until the input ends."""
    while line := read.readline(MAX_LINE):
        if line.strip() and (answer := answer_to(line, tools, caller)) is not None:
            # In ASCII, so that half a surrogate in a name is no error of the encoding.
            write.write(json.dumps(answer) + "\n")
            write.flush()


def answer_to(line: str, tools: Mapping[str, Tool], caller: Caller) -> dict[str, Any] | None:
    """The answer to one message; None for a notification."""
    try:
        message = json.loads(line)
    except (ValueError, RecursionError):
        return _error(None, PARSE_ERROR, "This line is no JSON message.")
    if not isinstance(message, dict) or not isinstance(message.get("method"), str):
        return _error(None, INVALID_REQUEST, "A message is an object with a method.")
    if "id" not in message:
        return None
    params = message.get("params") or {}
    try:
        if not isinstance(params, dict):
            raise RpcError(INVALID_PARAMS, "params is an object.")
        return {"jsonrpc": "2.0", "id": message["id"], "result": _result(message["method"], params, tools, caller)}
    except RpcError as error:
        return _error(message["id"], error.code, str(error))


def _result(method: str, params: Mapping[str, Any], tools: Mapping[str, Tool], caller: Caller) -> dict[str, Any]:
    if method == "initialize":
        asked = params.get("protocolVersion")
        return {
            "protocolVersion": asked if asked in VERSIONS else VERSIONS[0],
            "capabilities": {"tools": {}},
            "serverInfo": {"name": "licensehub", "version": "1"},
            "instructions": INSTRUCTIONS,
        }
    if method == "ping":
        return {}
    if method == "tools/list":
        return {"tools": [_listed(tool) for tool in tools.values()]}
    if method == "tools/call":
        return _called(params, tools, caller)
    raise RpcError(NO_METHOD, f"There is no method {method}.")


def _called(params: Mapping[str, Any], tools: Mapping[str, Tool], caller: Caller) -> dict[str, Any]:
    name, arguments = params.get("name"), params.get("arguments") or {}
    if not isinstance(name, str) or name not in tools:
        raise RpcError(INVALID_PARAMS, f"There is no tool {name}.")
    if not isinstance(arguments, dict):
        raise RpcError(INVALID_PARAMS, "arguments is an object.")
    text, is_error = call(tools[name], arguments, caller)
    return {"content": [{"type": "text", "text": text}], "isError": is_error}


def _listed(tool: Tool) -> dict[str, Any]:
    hints = {"readOnlyHint": tool.reads, "destructiveHint": False}
    return {"name": tool.name, "description": tool.text, "inputSchema": tool.schema, "annotations": hints}


def _error(pk: object, code: int, text: str) -> dict[str, Any]:
    return {"jsonrpc": "2.0", "id": pk, "error": {"code": code, "message": text}}
