"""Turns a SCIM PATCH (RFC 7644, section 3.5.2), as far as Miro documents it for a user, into changes of a member.

https://developers.miro.com/reference/patchuser
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from integrations.connectors.miro.sandbox.messages import Json, Request, scim_error
from integrations.connectors.miro.sandbox.state.seed import ADMIN, USER, Member

PATCH_OP = "urn:ietf:params:scim:api:messages:2.0:PatchOp"
ENTERPRISE = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:user:"
ROLES = {"ORGANIZATION_INTERNAL_ADMIN": ADMIN, "ORGANIZATION_INTERNAL_USER": USER}


def changes(request: Request, member: Member, patch_value: str) -> Json:
    """The changes of all operations together. Raises Refusal before any of them is carried out."""
    found: Json = {}
    for operation in _operations(request):
        name, value = _read(operation, member, patch_value)
        found[name] = value
    return found


def replacement(request: Request, member: Member, shown: Json) -> Json:
    """A PUT (RFC 7644, section 3.5.1) read as one operation for each attribute that it changes.

    Attributes that are read-only, or that Miro does not know, are ignored. `shown` is the user as a GET returns it. A
    client may send it back unchanged, even when it shows another license than the stored one.
    """
    found: Json = {}
    before = dict(_attributes(shown))
    for path, value in _attributes(_body(request)):
        if before.get(path) == value:
            continue
        name, read = _read({"op": "replace", "path": path, "value": value}, member, "both")
        if getattr(member, name) != read:
            found[name] = read
    return found


def _attributes(body: Json) -> Iterator[tuple[str, Any]]:
    """Path and value of each writable attribute."""
    extension = body.get(ENTERPRISE.rstrip(":").replace(":user", ":User")) or {}
    roles = body.get("roles") or []
    if not isinstance(extension, dict) or not isinstance(roles, list) or not all(isinstance(r, dict) for r in roles):
        raise scim_error(400, "The extension is an object, and roles are a list of objects", "invalidValue")
    flat = {**body, **{f"{ENTERPRISE}{key}": value for key, value in extension.items()}}
    roles = [role for role in roles if role.get("primary")]
    if roles:
        flat["roles[primary eq true].value"] = roles[0].get("value")
    for key, value in flat.items():
        if key.lower() == "active" or key.lower() in _READERS:
            yield key, value


def _body(request: Request) -> Json:
    try:
        body = request.json()
    except ValueError as error:
        raise scim_error(400, "The body is not JSON", "invalidSyntax") from error
    if not isinstance(body, dict):
        raise scim_error(400, "The body is not a user", "invalidSyntax")
    return body


def _operations(request: Request) -> list[Json]:
    body = _body(request)
    operations = body.get("Operations")
    if not operations or not isinstance(operations, list) or not all(isinstance(item, dict) for item in operations):
        raise scim_error(400, "Operations is missing", "invalidSyntax")
    if PATCH_OP not in (body.get("schemas") or []):
        raise scim_error(400, f"schemas must name {PATCH_OP}", "invalidSyntax")
    return operations


def _read(operation: Json, member: Member, patch_value: str) -> tuple[str, Any]:
    kind, path = str(operation.get("op", "")).lower(), str(operation.get("path") or "").lower()
    if kind not in {"replace", "add"}:
        raise scim_error(400, f"The operation {operation.get('op')!r} is not supported", "invalidSyntax")
    value = operation.get("value")
    if not path and patch_value == "object" and isinstance(value, dict) and list(value) == ["active"]:
        return "active", _boolean(value["active"], "boolean")
    if not path:
        raise scim_error(400, "path is required", "noTarget")
    if path == "active" and patch_value == "object":
        raise scim_error(400, "A path is not supported; value must be an object", "invalidSyntax")
    if path == "active":
        return "active", _boolean(value, patch_value)
    if path not in _READERS:
        raise scim_error(400, f"The path {operation['path']!r} is not supported", "invalidPath")
    name, read = _READERS[path]
    if not isinstance(value, str):
        raise scim_error(400, f"The value of {operation['path']} must be a string", "invalidValue")
    return name, read(value, member)


def _boolean(value: Any, patch_value: str) -> bool:
    """The OpenAPI file says string, its own sample sends a boolean: a toggle can refuse one."""
    if isinstance(value, bool) and patch_value in {"both", "boolean"}:
        return value
    if isinstance(value, str) and patch_value in {"both", "string"} and value.lower() in {"true", "false"}:
        return value.lower() == "true"
    raise scim_error(400, f"The value {value!r} of active is invalid", "invalidValue")


def _user_name(value: str, member: Member) -> str:
    if "@" not in value:
        raise scim_error(400, f"User name '{value}' is invalid: 'not an e-mail address'", "invalidValue")
    return value


def _license(value: str, member: Member) -> str:
    """Upgrade to Full only: https://developers.miro.com/reference/patchuser"""
    if value.lower().replace(" ", "_").replace("(", "").replace(")", "") == member.license:
        return member.license
    if value.lower() != "full":
        raise scim_error(400, "userType cannot be downgraded using this operation", "invalidValue")
    return "full"


def _role(value: str, member: Member) -> str:
    if value not in ROLES:
        raise scim_error(400, f"The role {value!r} is not supported", "invalidValue")
    return ROLES[value]


def _text(limit: int) -> Callable[[str, Member], str]:
    def read(value: str, member: Member) -> str:
        if len(value) > limit:
            raise scim_error(400, f"At most {limit} characters", "invalidValue")
        return value

    return read


_READERS: dict[str, tuple[str, Callable[[str, Member], str]]] = {
    "displayname": ("display_name", _text(60)),
    "username": ("email", _user_name),
    "usertype": ("license", _license),
    "roles[primary eq true].value": ("role", _role),
    f"{ENTERPRISE}department": ("department", _text(120)),
    f"{ENTERPRISE}costcenter": ("cost_center", _text(120)),
}
