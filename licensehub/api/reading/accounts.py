"""Accounts, roles, and changes of rights that wait for a second admin."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django.contrib.auth.models import Group, User
from django.http import HttpRequest
from ninja import Schema
from pydantic import Field

from licensehub.api.access.caller import caller_of
from licensehub.api.reading.rows import Coded, Cursor, Id, Limit, Page, one_for, page, rows_for
from licensehub.api.router import router
from licensehub.site.accounts.account_changes import rights_of_role
from licensehub.site.accounts.account_texts import state_of
from licensehub.ui.lists.paging import keyset
from subscriptions.models import ChangeState, RightsChange

TAGS = ["Accounts"]


class UserOut(Schema):
    """An account. `profiles` are the ids of the profiles for which its roles hold; null for all of them."""

    id: int
    username: str
    name: str
    email: str
    state: str
    active: bool
    superuser: bool
    roles: list[str]
    profiles: list[int] | None
    last_sign_in: datetime | None
    account_since: datetime


class RoleOut(Schema):
    id: int
    name: str
    rights: list[str]


class RightsChangeOut(Schema):
    """A change of an account that decides, or is to decide. A second admin confirms it in the browser."""

    id: int
    kind: Coded
    state: Coded
    account: str
    asked_by: str | None = Field(description="Null: it was made outside of the pages")
    asked_at: datetime
    after: str
    comment: str


def user_out(row: User) -> dict[str, Any]:
    scope = getattr(row, "profile_scope", None)
    return {
        "id": row.pk,
        "username": row.get_username(),
        "name": row.get_full_name(),
        "email": row.email,
        "state": state_of(row)[0],
        "active": row.is_active,
        "superuser": row.is_superuser,
        "roles": sorted(group.name for group in row.groups.all()),
        "profiles": None if scope is None else sorted(one.pk for one in scope.profiles.all()),
        "last_sign_in": row.last_login,
        "account_since": row.date_joined,
    }


@router.get("/users", tags=TAGS, response=Page[UserOut], summary="Accounts and their roles")
def users(request: HttpRequest, cursor: Cursor, limit: Limit) -> Any:
    order = keyset.Order(User, "pk")
    return page(rows_for(request, User), order, cursor, limit, lambda shown: [user_out(row) for row in shown])


@router.get("/users/{pk}", tags=TAGS, response=UserOut, summary="One account")
def user(request: HttpRequest, pk: Id) -> Any:
    return user_out(one_for(request, User, pk))


@router.get("/roles", tags=TAGS, response=Page[RoleOut], summary="Roles and their rights")
def roles(request: HttpRequest, cursor: Cursor, limit: Limit) -> Any:
    """A token that sees accounts sees the names of their roles, as the page of an account does."""
    caller_of(request).refuse_without("auth.view_user")

    def build(shown: list[Group]) -> list[dict[str, Any]]:
        return [{"id": row.pk, "name": row.name, "rights": rights_of_role(row)} for row in shown]

    return page(Group.objects.all(), keyset.Order(Group, "pk"), cursor, limit, build)


def change_out(row: RightsChange) -> dict[str, Any]:
    return {
        "id": row.pk,
        "kind": {"code": row.kind, "label": row.get_kind_display()},
        "state": {"code": row.state, "label": row.get_state_display()},
        "account": row.account.get_username(),
        "asked_by": row.asked_by.get_username() if row.asked_by else None,
        "asked_at": row.asked_at,
        "after": row.after,
        "comment": row.comment,
    }


@router.get("/rights-changes", tags=TAGS, response=Page[RightsChangeOut], summary="Changes of rights")
def rights_changes(request: HttpRequest, cursor: Cursor, limit: Limit, state: ChangeState | None = None) -> Any:
    """The newest first."""
    rows = rows_for(request, RightsChange).select_related("account", "asked_by")
    if state is not None:
        rows = rows.filter(state=state)
    order = keyset.Order(RightsChange, "pk", descending=True)
    return page(rows, order, cursor, limit, lambda shown: [change_out(row) for row in shown])
