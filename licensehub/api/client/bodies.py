"""Made by `manage.py openapi` from docs/api/openapi.json; do not edit."""

from __future__ import annotations

from typing import NotRequired, TypedDict

from licensehub.api.client import types


class Approval(TypedDict):
    """`revision` and `digest` are those of the request as it was read: the decision is about that list of people."""
    revision: int
    digest: str
    comment: NotRequired[str]


class NewProtection(TypedDict):
    """One address, domain, license type or role of a profile."""
    reason: str
    owner: str
    ends_at: NotRequired[str | None]
    profile: int
    kind: NotRequired[types.ProtectionKind]
    value: str


class NewRequest(TypedDict):
    """The candidates of one profile. All of them must be Ready; if one is not, nothing is requested."""
    candidates: list[int]
    reason: NotRequired[str]


class PeopleToProtect(TypedDict):
    """People of one profile, by the ids of their subscriptions."""
    reason: str
    owner: str
    ends_at: NotRequired[str | None]
    subscriptions: list[int]


class Reason(TypedDict):
    reason: str


class Rejection(TypedDict):
    comment: str


class Restores(TypedDict):
    """Sends of one profile, by their ids in the history."""
    reason: str
    reclaims: list[int]
