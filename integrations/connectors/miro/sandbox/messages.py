"""Requests, answers, and the two error formats of Miro.

REST errors: https://developers.miro.com/reference/errors
SCIM errors: https://developers.miro.com/docs/errors and RFC 7644, section 3.12
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

SCIM_ROOT = "/api/v1/scim"
CONTROL_ROOT = "/_sandbox/"
SCIM_TYPE = "application/scim+json"
SCIM_ERROR = "urn:ietf:params:scim:api:messages:2.0:Error"

Json = dict[str, Any]


class SandboxError(Exception):
    """The sandbox cannot do what was asked. The text is one sentence for the caller."""


@dataclass(frozen=True, slots=True)
class Request:
    """One HTTP request; header names are in lower case, `n` counts the requests of this sandbox."""

    method: str
    path: str
    query: Mapping[str, str]
    raw_query: str
    headers: Mapping[str, str]
    body: bytes
    n: int = 0

    @property
    def api(self) -> str:
        return "scim" if self.path.startswith(f"{SCIM_ROOT}/") or self.path == SCIM_ROOT else "rest"

    @property
    def member(self) -> str:
        """The id in `.../Users/{id}` or `/v2/orgs/{org}/members/{id}`, else empty."""
        parts = self.path.strip("/").split("/")
        return parts[-1] if len(parts) > 1 and parts[-2] in {"Users", "members"} else ""

    @property
    def token(self) -> str:
        kind, _, value = self.headers.get("authorization", "").partition(" ")
        return value.strip() if kind.lower() == "bearer" else ""

    def json(self) -> Any:
        return json.loads(self.body)


@dataclass(slots=True)
class Answer:
    """One HTTP response. `raw` replaces the JSON of `body`; `cut` closes the connection instead of answering."""

    status: int
    body: Any = None
    headers: dict[str, str] = field(default_factory=dict)
    content_type: str = "application/json"
    raw: bytes | None = None
    cut: bool = False
    applied: bool = False

    def payload(self) -> bytes:
        if self.raw is not None:
            return self.raw
        return json.dumps(self.body, ensure_ascii=False).encode() if self.body is not None else b""


class Refusal(Exception):
    """Raised inside of an endpoint to return an error answer."""

    def __init__(self, answer: Answer) -> None:
        super().__init__(answer.status)
        self.answer = answer


def rest_error(status: int, code: str, message: str, **extra: Any) -> Refusal:
    body = {"type": "error", "status": status, "code": code, "message": message, **extra}
    return Refusal(Answer(status, body))


def invalid_parameter(name: str, message: str) -> Refusal:
    fields = [{"field": name, "reason": "invalid", "message": message}]
    return rest_error(400, "invalidParameters", "Method parameters are not valid", context={"fields": fields})


def scim_error(status: int, detail: str, scim_type: str = "") -> Refusal:
    body = {"schemas": [SCIM_ERROR], "status": str(status), "detail": detail}
    if scim_type:
        body["scimType"] = scim_type
    return Refusal(Answer(status, body, content_type=SCIM_TYPE))


def too_many(api: str) -> Refusal:
    """429 with the bodies that Miro documents: /v1.0/reference/ratelimiting for REST, /docs/errors for SCIM."""
    if api == "scim":
        detail = "The user has sent too many requests in a given amount of time"
        return scim_error(429, detail, "tooManyRequests")
    return rest_error(429, "tooManyRequests", "Request rate limit exceed", context=None)


def server_error(api: str, status: int = 500) -> Refusal:
    if api == "scim":
        return scim_error(status, "Internal server error")
    return rest_error(status, "internalError", "Internal server error")
