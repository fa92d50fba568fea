"""Programs that call the REST API, each with a token."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.auth.models import Group, User
from django.http import HttpResponse
from django.test import Client
from django.utils import timezone

from licensehub.api.access.counters import counters
from licensehub.sign_in.models import ApiToken
from licensehub.sign_in.tokens import tokens


class Program:
    """Calls the API with one token, and keeps no cookie."""

    def __init__(self, text: str, token: ApiToken) -> None:
        self.text, self.token = text, token
        self.client = Client(raise_request_exception=False)

    def call(self, method: str, path: str, body: Any = None, query: Any = None, **headers: str) -> HttpResponse:
        given = {
            "Authorization": f"Bearer {self.text}",
            **{name.replace("_", "-"): text for name, text in headers.items()},
        }
        more: dict[str, Any] = (
            {"data": json.dumps(body), "content_type": "application/json"} if body is not None else {}
        )
        return self.client.generic(
            method, f"/api/v1{path}", headers=given, query_params=query, REMOTE_ADDR="203.0.113.7", **more
        )

    def get(self, path: str, **query: Any) -> Any:
        """The JSON of an answer 200."""
        response = self.call("GET", path, query=query)
        assert response.status_code == 200, response.content
        return response.json()

    def post(self, path: str, body: Any = None, **headers: str) -> HttpResponse:
        return self.call("POST", path, body if body is not None else {}, **headers)


@pytest.fixture(autouse=True)
def _fresh_api_counters() -> None:
    counters.cache_clear()


@pytest.fixture
def program(db) -> Callable[..., Program]:
    """A program that acts as this person, with their role or another one; a second factor was proved for it."""

    def made(user: User, role: str = "", **more: Any) -> Program:
        group = Group.objects.get(name=role) if role else user.groups.get()
        more = {"factor_at": timezone.now(), "actor": user, **more}
        token, text = tokens.make(user, name="test", role=group, **more)
        return Program(text, token)

    return made


def problem(response: HttpResponse, status: int) -> str:
    """The code of an answer that is an error."""
    assert response.status_code == status, response.content
    assert response["Content-Type"] == "application/problem+json"
    body = response.json()
    assert body["status"] == status and body["detail"].endswith((".", "…")) and body["title"], body
    return str(body["code"])
