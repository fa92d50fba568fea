"""The methods that a sign-in proved, as the session has them."""

from __future__ import annotations

from typing import Any, Final

from allauth.account.authentication import get_authentication_records
from django.contrib.auth.models import User
from django.http import HttpRequest

PASSWORD: Final = "password"  # noqa: S105 - the name of a method
SSO: Final = "sso"
INVITATION: Final = "invitation"
# allauth's names of factors.
FACTORS: Final = frozenset({"totp", "webauthn", "recovery_codes"})


def methods_of(request: HttpRequest, user: User) -> list[str]:
    """Each step of this sign-in in its order, e.g. `password`, `totp`. Empty if it did not come through allauth."""
    return [*dict.fromkeys(_name(record) for record in get_authentication_records(request, user))]


def _name(record: dict[str, Any]) -> str:
    if record["method"] == "socialaccount":
        return SSO
    return str(record.get("type") or record["method"])
