"""SCIM's discovery endpoints: https://developers.miro.com/docs/scim and RFC 7643, sections 5 to 7."""

from __future__ import annotations

from integrations.connectors.miro.sandbox.messages import Json

LIST = "urn:ietf:params:scim:api:messages:2.0:ListResponse"
CONFIG = "urn:ietf:params:scim:schemas:core:2.0:ServiceProviderConfig"
RESOURCE_TYPE = "urn:ietf:params:scim:schemas:core:2.0:ResourceType"
SCHEMA = "urn:ietf:params:scim:schemas:core:2.0:Schema"
CORE = "urn:ietf:params:scim:schemas:core:2.0:User"
GROUP = "urn:ietf:params:scim:schemas:core:2.0:Group"
ENTERPRISE = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"

ATTRIBUTES: dict[str, tuple[tuple[str, str, bool], ...]] = {
    # name, type, whether it is required
    CORE: (
        ("userName", "string", True),
        ("name", "complex", False),
        ("displayName", "string", False),
        ("userType", "string", False),
        ("active", "boolean", False),
        ("emails", "complex", False),
        ("photos", "complex", False),
        ("groups", "complex", False),
        ("roles", "complex", False),
        ("preferredLanguage", "string", False),
    ),
    GROUP: (("displayName", "string", True), ("members", "complex", False)),
    ENTERPRISE: (
        ("employeeNumber", "string", False),
        ("costCenter", "string", False),
        ("organization", "string", False),
        ("division", "string", False),
        ("department", "string", False),
        ("manager", "complex", False),
    ),
}
MANY = frozenset({"emails", "photos", "groups", "roles", "members"})
NAMES = {CORE: "User", GROUP: "Group", ENTERPRISE: "EnterpriseUser"}


def service_provider_config(*, patch: bool) -> Json:
    return {
        "schemas": [CONFIG],
        "documentationUri": "https://developers.miro.com/docs/scim",
        "patch": {"supported": patch},
        "bulk": {"supported": False, "maxOperations": 0, "maxPayloadSize": 0},
        "filter": {"supported": True, "maxResults": 200},
        "changePassword": {"supported": False},
        "sort": {"supported": True},
        "etag": {"supported": False},
        "authenticationSchemes": [
            {
                "type": "oauthbearertoken",
                "name": "OAuth Bearer Token",
                "description": "Authentication scheme using the OAuth Bearer Token Standard",
                "specUri": "https://www.rfc-editor.org/info/rfc6750",
                "primary": True,
            }
        ],
    }


def resource_types(base: str) -> dict[str, Json]:
    """Name -> resource type."""
    return {
        "User": _resource_type(base, "User", CORE, extensions=[{"schema": ENTERPRISE, "required": False}]),
        "Group": _resource_type(base, "Group", GROUP, extensions=[]),
    }


def _resource_type(base: str, name: str, schema: str, *, extensions: list[Json]) -> Json:
    return {
        "schemas": [RESOURCE_TYPE],
        "id": name,
        "name": name,
        "description": f"{name} account" if name == "User" else name,
        "endpoint": f"/{name}s",
        "schema": schema,
        "schemaExtensions": extensions,
        "meta": {"resourceType": "ResourceType", "location": f"{base}/ResourceTypes/{name}"},
    }


def schemas(base: str) -> dict[str, Json]:
    """URN -> schema."""
    return {urn: _schema(base, urn) for urn in ATTRIBUTES}


def _schema(base: str, urn: str) -> Json:
    return {
        "schemas": [SCHEMA],
        "id": urn,
        "name": NAMES[urn],
        "description": NAMES[urn],
        "attributes": [_attribute(*attribute) for attribute in ATTRIBUTES[urn]],
        "meta": {"resourceType": "Schema", "location": f"{base}/Schemas/{urn}"},
    }


def _attribute(name: str, kind: str, required: bool) -> Json:
    return {
        "name": name,
        "type": kind,
        "multiValued": name in MANY,
        "description": name,
        "required": required,
        "caseExact": False,
        "mutability": "readOnly" if name == "groups" else "readWrite",
        "returned": "default",
        "uniqueness": "server" if name == "userName" else "none",
    }


def listing(found: list[Json]) -> Json:
    return {
        "schemas": [LIST],
        "totalResults": len(found),
        "itemsPerPage": len(found),
        "startIndex": 1,
        "Resources": found,
    }
