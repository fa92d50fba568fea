"""Write the client from the OpenAPI document: a TypedDict for each schema, and a method for each operation."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Set
from typing import Any, Final

HEAD: Final = """\"\"\"Made by `manage.py openapi` from docs/api/openapi.json; do not edit.\"\"\"

from __future__ import annotations

"""
PLAIN: Final = {"string": "str", "integer": "int", "number": "float", "boolean": "bool", "null": "None"}
# A schema -> its type, as the file writes it.
Writer = Callable[[Mapping[str, Any]], str]


def name_of(schema: str) -> str:
    """`Page_RunOut_` -> `PageRunOut`."""
    return re.sub(r"\W|_", "", schema.title() if schema.islower() else schema)


def type_of(schema: Mapping[str, Any]) -> str:
    """The type of a schema, as Python writes it."""
    if "$ref" in schema:
        return name_of(schema["$ref"].rpartition("/")[2])
    if "enum" in schema:
        return f"Literal[{', '.join(repr(value) for value in schema['enum'])}]"
    if "const" in schema:
        return f"Literal[{schema['const']!r}]"
    if parts := schema.get("anyOf") or schema.get("oneOf") or schema.get("allOf"):
        return " | ".join(dict.fromkeys(type_of(part) for part in parts))
    if schema.get("type") == "array":
        return f"list[{type_of(schema.get('items', {}))}]"
    if schema.get("type") == "object":
        values = schema.get("additionalProperties")
        return f"dict[str, {type_of(values) if isinstance(values, dict) else 'Any'}]"
    return PLAIN.get(schema.get("type", ""), "Any")


def bodies_file(document: Mapping[str, Any]) -> str:
    """The types of what a program sends."""
    imports = "from typing import NotRequired, TypedDict\n\nfrom licensehub.api.client import types\n"
    return HEAD + imports + _types(document, _bodies(document), lambda schema: _prefixed(type_of(schema)))


def types_file(document: Mapping[str, Any]) -> str:
    """The types of what LicenseHub answers, and of the words in both."""
    imports = "from typing import Any, Literal, NotRequired, TypedDict\n"
    return HEAD + imports + _types(document, document["components"]["schemas"].keys() - _bodies(document), type_of)


def _bodies(document: Mapping[str, Any]) -> set[str]:
    """The schemas of the bodies of all operations."""
    operations = (one for path in document["paths"].values() for one in path.values())
    return {body["$ref"].rpartition("/")[2] for body in map(_body, operations) if body and "$ref" in body}


def _types(document: Mapping[str, Any], names: Set[str], written: Writer) -> str:
    schemas = document["components"]["schemas"]
    return "".join(f"\n\n{_type(name_of(name), schemas[name], written)}" for name in sorted(names))


def _type(name: str, schema: Mapping[str, Any], written: Writer) -> str:
    if "properties" not in schema:
        return f"{name} = {written(schema)}\n"
    text = schema.get("description", "").strip().replace("\\", "")
    body = [f'    """{text}"""\n'] if text else []
    needed = schema.get("required", [])
    for field, one in schema["properties"].items():
        kind = written(one)
        body.append(f"    {field}: {kind if field in needed else f'NotRequired[{kind}]'}\n")
    return f"class {name}(TypedDict):\n" + "".join(body)


def calls_file(document: Mapping[str, Any]) -> str:
    methods = [
        _method(path, method, operation)
        for path, operations in document["paths"].items()
        for method, operation in operations.items()
    ]
    imports = "from typing import Any, Literal, cast\n\nfrom licensehub.api.client import bodies, types\n"
    imports += "from licensehub.api.client.transport import Caller\n"
    return HEAD + imports + '\n\nclass Client(Caller):\n    """One method for each operation."""\n' + "".join(methods)


def _method(path: str, method: str, operation: Mapping[str, Any]) -> str:
    given = list(_parameters(operation))
    body = _body(operation)
    answer = operation["responses"]["200"]["content"]["application/json"]["schema"]
    of_path = [f"{name}: int" for place, name, _kind in given if place == "path"]
    of_query = [f"{name}: {kind} | None = None" for place, name, kind in given if place == "query"]
    sent = [f"body: bodies.{type_of(body)}"] if body else []
    key = ['idempotency_key: str = ""'] if method != "get" else []
    named = [*of_query, *key]
    arguments = ", ".join(["self", *of_path, *sent, *(["*", *named] if named else [])])
    values = ", ".join(f'"{name}": {name}' for place, name, _kind in given if place == "query")
    passed = [f'"{method.upper()}"', f'f"{path}"' if of_path else f'"{path}"']
    passed += [f"query={{{values}}}"] if values else []
    passed += ["body=body"] if body else (["body={}"] if method != "get" else [])
    passed += ["idempotency_key=idempotency_key"] if method != "get" else []
    kind = f"types.{type_of(answer)}" if "$ref" in answer else type_of(answer)
    return (
        f"\n    def {operation['operationId']}({arguments}) -> {kind}:\n"
        f'        """{operation["summary"]}."""\n'
        f"        return cast({kind}, self.call({', '.join(passed)}))\n"
    )


def _body(operation: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """The schema of what the operation takes."""
    found: Mapping[str, Any] | None
    found = operation.get("requestBody", {}).get("content", {}).get("application/json", {}).get("schema")
    return found


def _parameters(operation: Mapping[str, Any]) -> Iterator[tuple[str, str, str]]:
    """Place, name and type of each."""
    for one in operation.get("parameters", ()):
        schema = {"anyOf": [part for part in one["schema"].get("anyOf", [one["schema"]]) if part.get("type") != "null"]}
        yield one["in"], one["name"], _prefixed(type_of(schema))


def _prefixed(kind: str) -> str:
    return f"types.{kind}" if kind[0].isupper() and not kind.startswith(("Literal", "Any")) else kind
