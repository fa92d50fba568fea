"""A plain HTTP client for these tests: what it sends is what stands in the test."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import timedelta
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import requests

from integrations.connectors.miro.sandbox.control import SandboxControl
from integrations.connectors.miro.sandbox.state.seed import iso
from tests.support.guards.network import allow

if TYPE_CHECKING:
    from integrations.connectors.miro.sandbox.server import Sandbox
    from integrations.connectors.miro.sandbox.state.seed import Member

PATCH_OP = "urn:ietf:params:scim:api:messages:2.0:PatchOp"


def port_of(urls: dict[str, str]) -> int:
    return urlsplit(urls["api_url"]).port or 0


def until(condition: Callable[[], bool]) -> None:
    for _ in range(1500):
        if condition():
            return
        time.sleep(0.02)
    raise AssertionError("it did not come about")


class Client:
    def __init__(self, sandbox: Sandbox) -> None:
        self.sandbox = sandbox
        self.urls = sandbox.urls()
        allow(port_of(self.urls))
        self.control = SandboxControl(sandbox.control_url)
        self.members_path = f"/v2/orgs/{self.urls['organization_id']}/members"
        self.teams_path = f"/v2/orgs/{self.urls['organization_id']}/teams"

    def rest(self, path: str, *, token: str | None = None, **query: Any) -> requests.Response:
        headers = {"Authorization": f"Bearer {token if token is not None else self.urls['access_token']}"}
        return requests.get(self.urls["api_url"] + path, params=query, headers=headers, timeout=30)

    def scim(self, path: str, *, method: str = "GET", token: str | None = None, **options: Any) -> requests.Response:
        headers = {"Authorization": f"Bearer {token if token is not None else self.urls['scim_token']}"}
        headers.update(options.pop("headers", {}))
        timeout = options.pop("timeout", 30)
        return requests.request(method, self.urls["scim_url"] + path, headers=headers, timeout=timeout, **options)

    def users(self, **query: Any) -> Any:
        response = self.scim("/Users", params=query)
        assert response.status_code == 200, response.text
        return response.json()

    def patch(
        self, member: str, value: Any = False, *, op: str = "Replace", path: str = "active", **options: Any
    ) -> requests.Response:
        body = {"schemas": [PATCH_OP], "Operations": [{"op": op, "path": path, "value": value}]}
        return self.scim(f"/Users/{member}", method="PATCH", json=body, **options)

    def pages(self, **query: Any) -> list[Any]:
        """Every page, following the response's cursor to its end."""
        found, cursor = [], ""
        while True:
            page = self.rest(self.members_path, **query, **({"cursor": cursor} if cursor else {})).json()
            found.append(page)
            cursor = page.get("cursor") or ""
            if not cursor:
                return found

    def events(self, *, days: float = 91, sorting: str = "ASC", limit: int = 100) -> list[Any]:
        """The audit log of the last days, page by page."""
        now = self.sandbox.world.now()
        asked = {"createdAfter": iso(now - timedelta(days=days)), "createdBefore": iso(now + timedelta(seconds=1))}
        found, cursor = [], ""
        while True:
            query: dict[str, Any] = {
                **asked,
                "sorting": sorting,
                "limit": limit,
                **({"cursor": cursor} if cursor else {}),
            }
            page = self.rest("/v2/audit/logs", **query).json()
            found += page["data"]
            cursor = page.get("cursor") or ""
            if not cursor:
                return found

    def people(self) -> list[Member]:
        return list(self.sandbox.world.members.values())

    def ordinary(self) -> Member:
        """Somebody whom SCIM may deactivate."""
        world = self.sandbox.world
        return next(
            member
            for member in world.after("")
            if member.active
            and member.role == "organization_internal_user"
            and not world.teams_without_other_admin(member.id)
        )
