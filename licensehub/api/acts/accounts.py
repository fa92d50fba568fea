"""Invite people, and give and take roles: what the page of an account does, with the same second admin.

A second admin confirms a right to decide in the browser: two stolen tokens must not be enough to make an approver.
"""

from __future__ import annotations

from typing import Annotated, Any

from django.contrib.auth.models import User
from django.http import HttpRequest
from ninja import Schema
from pydantic import Field

from licensehub.api.access.caller import Caller, caller_of
from licensehub.api.acts import once
from licensehub.api.reading.rows import Id, one_for
from licensehub.api.router import router
from licensehub.site.accounts import invitations, role_changes
from subscriptions.accounts import rights

TAGS = ["Accounts"]
Name = Annotated[str, Field(min_length=1, max_length=150)]
Roles = Annotated[list[Name], Field(max_length=20)]


class Invitation(Schema):
    """The address is also the username."""

    first_name: Name
    last_name: Name
    email: Annotated[str, Field(min_length=3, max_length=254)]
    roles: Annotated[Roles, Field(min_length=1)]


class RoleChange(Schema):
    """Names of roles to give and to take away."""

    add: Roles = []
    remove: Roles = []


class Granted(Schema):
    """`waits`: the right to decide waits until the person has joined, and for a second admin or a day."""

    user: int
    username: str
    roles: list[str]
    waits: bool
    detail: str


def _granting(request: HttpRequest, permission: str) -> Caller:
    caller = caller_of(request)
    caller.refuse_without(permission)
    caller.refuse_without_proof("grants roles")
    return caller


def _granted(user: User, detail: str) -> Granted:
    roles, waits = sorted(user.groups.values_list("name", flat=True)), rights.is_waiting(user)
    if waits:
        detail += " The right to decide waits until the person has joined, and for a second admin or a day."
    return Granted(user=user.pk, username=user.get_username(), roles=roles, waits=waits, detail=detail)


@router.post("/users", tags=TAGS, response=Granted, summary="Invite a person")
def invite(request: HttpRequest, sent: Invitation) -> Any:
    """The person gets a mail with a link. It takes no Idempotency-Key: an address has one account only."""
    caller = _granting(request, "auth.add_user")

    def act() -> Granted:
        values = {"first_name": sent.first_name, "last_name": sent.last_name, "email": sent.email}
        user = role_changes.create_invited(values, sent.roles, actor=caller.user)
        return _granted(user, invitations.send(user, actor=caller.user))

    return once.do_without_key(request, act)


@router.post("/users/{pk}/roles", tags=TAGS, response=Granted, summary="Give and take roles of an account")
def change_roles(request: HttpRequest, pk: Id, sent: RoleChange) -> Any:
    """A right to decide waits until the person has joined, and for a second admin or a day."""
    caller, user = _granting(request, "auth.change_user"), one_for(request, User, pk)

    def act() -> Granted:
        changed = role_changes.change_roles(user, add=sent.add, remove=sent.remove, actor=caller.user)
        return _granted(user, "The roles were changed." if changed else "The account has these roles already.")

    return once.do(request, act)
