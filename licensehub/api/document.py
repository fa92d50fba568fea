"""The OpenAPI document, with what ninja does not write: the errors that each operation can have."""

from __future__ import annotations

import json
from typing import Any, Final

from licensehub.api.problems import CONTENT_TYPE

_PROBLEM: Final = {
    "title": "Problem",
    "type": "object",
    "required": ["type", "title", "status", "code", "detail"],
    "properties": {
        "type": {"type": "string"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "code": {"type": "string", "description": "Stable; programs compare it."},
        "detail": {"type": "string", "description": "A sentence for people."},
        "errors": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["place", "detail"],
                "properties": {"place": {"type": "string"}, "detail": {"type": "string"}},
            },
        },
    },
}
# Status -> when.
_ALWAYS: Final = {
    "400": "The request cannot be read",
    "401": "No token, or one that is not valid",
    "403": "The token may not do this",
    "404": "Not found, or not visible to this token",
    "422": "Some values are wrong",
    "429": "Too many calls; see Retry-After",
}
_OF_ACTS: Final = {"409": "Not possible now; the sentence says why", "503": "No changes are taken now"}


def completed(document: Any) -> Any:
    """Add the problems to each operation."""
    document["components"].setdefault("schemas", {})["Problem"] = _PROBLEM
    content = {CONTENT_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}}
    for operations in document["paths"].values():
        for method, operation in operations.items():
            possible = _ALWAYS if method == "get" else _ALWAYS | _OF_ACTS
            for status, description in possible.items():
                operation["responses"][status] = {"description": description, "content": content}
            if method == "get":
                operation["responses"]["304"] = {"description": "Not changed since the ETag of If-None-Match"}
            by_status = {str(status): one for status, one in operation["responses"].items()}
            operation["responses"] = dict(sorted(by_status.items()))
    return document


def as_text(document: Any) -> str:
    """The document as it is kept in the repository."""
    return json.dumps(document, indent=2, ensure_ascii=False) + "\n"
