"""The tools of an assistant: what the API reads, and requests that another person decides on. None decides.

Each tool is an operation of the OpenAPI document, so it has the rights, the rows and the refusals of the token.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from licensehub.api.client.transport import ApiError, Caller

# What an assistant prepares: nobody loses a seat until another person has decided.
PREPARES: Final = frozenset({"make_request"})
# Named here, so that a new operation is none of them until somebody decides so.
READS: Final = frozenset(
    {
        *("me", "subscriptions", "subscription", "candidates", "candidate", "requests", "request_page", "people"),
        *("history", "reclaim", "profiles", "profile", "runs", "run", "protections", "protection", "savings", "audit"),
    }
)
# With what LicenseHub tells an assistant before its first call.
INSTRUCTIONS: Final = (
    "LicenseHub finds unused software licenses. subscriptions lists people with their verdict: its code and a sentence "
    "that says why they are a removal candidate, or why not. With idle_before it lists who has not used the software "
    "since a day, with holds_seat=true only those who hold a license. subscription shows each check of one person. "
    "Lists have next_cursor; pass it as cursor until it is null. make_request asks for a reclaim: another person has "
    "to approve it in LicenseHub, and no tool can. If the rule asks people first, make_request mails all of them at "
    "once: call it for people whom your user has named or confirmed only."
)


@dataclass(frozen=True, slots=True)
class Tool:
    """One operation. `schema` is the JSON Schema of its arguments; those of a body are among them."""

    name: str
    method: str
    path: str
    text: str
    schema: Mapping[str, Any]
    in_path: tuple[str, ...]
    in_body: tuple[str, ...]

    @property
    def reads(self) -> bool:
        return self.method == "GET"


def tools(document: Mapping[str, Any]) -> dict[str, Tool]:
    return {tool.name: tool for tool in _tools(document)}


def _tools(document: Mapping[str, Any]) -> Iterator[Tool]:
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            name = operation["operationId"]
            if name in READS | PREPARES and (method == "get") == (name in READS):
                yield _tool(document, path, method.upper(), operation)


def _tool(document: Mapping[str, Any], path: str, method: str, operation: Mapping[str, Any]) -> Tool:
    schemas = document["components"]["schemas"]
    given = operation.get("parameters", [])
    properties = {one["name"]: _whole(one["schema"], schemas) for one in given}
    required = [one["name"] for one in given if one.get("required")]
    body: Mapping[str, Any] = {}
    if "requestBody" in operation:
        body = _whole(operation["requestBody"]["content"]["application/json"]["schema"], schemas)
        properties |= body["properties"]
        required += body.get("required", [])
    text = f"{operation['summary']}. {operation.get('description', '')}".strip()
    in_path = tuple(one["name"] for one in given if one["in"] == "path")
    schema = {"type": "object", "properties": properties, "required": required, "additionalProperties": False}
    return Tool(operation["operationId"], method, path, text, schema, in_path, tuple(body.get("properties", ())))


def _whole(schema: Any, schemas: Mapping[str, Any]) -> Any:
    """The schema with what it refers to in place."""
    if isinstance(schema, dict):
        if "$ref" in schema:
            return _whole(schemas[schema["$ref"].rpartition("/")[2]], schemas)
        return {name: _whole(value, schemas) for name, value in schema.items()}
    return [_whole(one, schemas) for one in schema] if isinstance(schema, list) else schema


def call(tool: Tool, arguments: Mapping[str, Any], caller: Caller) -> tuple[str, bool]:
    """The answer as text, and whether it is an error: then the text is the sentence of the API."""
    unknown = set(arguments) - set(tool.schema["properties"])
    missing = set(tool.schema["required"]) - set(arguments)
    if unknown or missing:
        return f"Arguments that do not exist: {sorted(unknown)}. Missing: {sorted(missing)}.", True
    path = tool.path
    for name in tool.in_path:
        if not (str(arguments[name]).isascii() and str(arguments[name]).isdecimal()):
            return f"{name} is a number.", True
        path = path.replace(f"{{{name}}}", str(arguments[name]))
    body = {name: arguments[name] for name in tool.in_body if name in arguments}
    others = (*tool.in_path, *tool.in_body)
    query = {name: value for name, value in arguments.items() if name not in others}
    try:
        found = caller.call(tool.method, path, query=query, body=None if tool.reads else body)
    except ApiError as error:
        return f"{error} ({error.code})", True
    except UnicodeEncodeError:
        return "An argument has half a character. Send it again as JSON in UTF-8.", True
    return json.dumps(found, ensure_ascii=False), False
