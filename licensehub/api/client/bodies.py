"""Made by `manage.py openapi` from docs/api/openapi.json; do not edit."""

from __future__ import annotations

from typing import NotRequired, TypedDict

from licensehub.api.client import types


class Approval(TypedDict):
    """`revision` and `digest` are those of the request as it was read: the decision is about that list of people."""
    revision: int
    digest: str
    comment: NotRequired[str]


class Invitation(TypedDict):
    """The address is also the username."""
    first_name: str
    last_name: str
    email: str
    roles: list[str]


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


class OtherTerms(TypedDict):
    """The terms to try. What is null stays as in the saved rule."""
    last_activity_threshold: NotRequired[int | None]
    licenses: NotRequired[list[str] | None]
    new_joiner_grace: NotRequired[int | None]
    never_active: NotRequired[types.NeverActive | None]
    admin_roles: NotRequired[types.AdminRoles | None]
    by_license: NotRequired[dict[str, int] | None]


class PeopleToProtect(TypedDict):
    """People of one profile, by the ids of their subscriptions."""
    reason: str
    owner: str
    ends_at: NotRequired[str | None]
    subscriptions: list[int]


class ProtectionFile(TypedDict):
    """Lines with address (or the vendor's id), reason, owner and end, as the page *Protect many people* reads them.

`reason` and `owner` fill the lines that have none."""
    text: str
    reason: NotRequired[str]
    owner: NotRequired[str]


class Reason(TypedDict):
    reason: str


class Rejection(TypedDict):
    comment: str


class Restores(TypedDict):
    """Sends of one profile, by their ids in the history."""
    reason: str
    reclaims: list[int]


class RoleChange(TypedDict):
    """Names of roles to give and to take away."""
    add: NotRequired[list[str]]
    remove: NotRequired[list[str]]
