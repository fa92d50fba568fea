"""The sign-in as strangers and owners meet it: requests with an address and a browser of their own."""

from __future__ import annotations

from typing import Any

from django.http import HttpResponse
from django.test import Client
from django.urls import reverse

CHROME = "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/537.36 Chrome/130.0 Safari/537.36"
IPHONE = "Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Safari/604.1"


def password_of(username: str) -> str:
    """Return the password that `tests.support.fixtures.person` sets."""
    return f"a long password of {username}"


class Visitor:
    """A browser at one address."""

    def __init__(self, address: str = "203.0.113.9", agent: str = CHROME, **headers: str) -> None:
        self.client = Client(REMOTE_ADDR=address, headers={"user-agent": agent, **headers})

    def try_password(self, username: str, password: str, **headers: str) -> HttpResponse:
        data = {"username": username, "password": password}
        return self.client.post(reverse("admin:login"), data, headers=headers)

    def sign_in(self, username: str) -> HttpResponse:
        return self.try_password(username, password_of(username))

    def is_in(self) -> bool:
        return self.client.get(reverse("admin:index")).status_code == 200

    def session(self) -> Any:
        return self.client.session
