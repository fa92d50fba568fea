"""Members as Miro writes them, and pages of them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qs, urlsplit

from tests.support.servers.scripted_server import Reply, Seen

MISSING = object()


def raw(**changes: Any) -> dict[str, Any]:
    member = {
        "id": "3074457345821140934",
        "email": "ada@example.com",
        "active": True,
        "license": "full",
        "role": "organization_internal_user",
        "licenseAssignedAt": "2024-04-11T15:04:04.089Z",
        "lastActivityAt": "2024-04-12T15:04:04Z",
        "type": "organization-member",
    }
    return {**member, **changes}


def page(cursor: object, *ids: str) -> Reply:
    data: dict[str, Any] = {"data": [raw(id=external_id) for external_id in ids], "type": "cursor-list"}
    if cursor is not MISSING:
        data["cursor"] = cursor
    return Reply(data=data)


def query_of(seen: Seen) -> dict[str, list[str]]:
    return parse_qs(urlsplit(seen.path).query)


def by_cursor(**pages: Reply) -> Callable[[Seen], Reply]:
    return lambda seen: pages[query_of(seen).get("cursor", ["first"])[0]]
