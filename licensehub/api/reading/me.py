"""The account that the token acts as."""

from __future__ import annotations

from datetime import datetime

from django.http import HttpRequest
from ninja import Schema

from licensehub.api.access.caller import caller_of
from licensehub.api.router import router
from licensehub.sign_in.tokens.tokens import is_service

TAGS = ["Token"]


class Me(Schema):
    account: str
    is_service_account: bool
    token: int
    token_name: str
    role: str | None
    # The ids of the profiles that the token reaches; empty for all profiles of its account.
    profiles: list[int]
    expires_at: datetime
    rights: list[str]


@router.get("/me", tags=TAGS, response=Me, summary="The account, role and rights of this token")
def me(request: HttpRequest) -> Me:
    caller = caller_of(request)
    token = caller.token
    return Me(
        account=caller.user.get_username(),
        is_service_account=is_service(caller.user),
        token=token.pk,
        token_name=token.name,
        role=token.role.name if token.role else None,
        profiles=token.profiles,
        expires_at=token.expires_at,
        rights=sorted(caller.rights),
    )
